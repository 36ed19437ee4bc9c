"""The parts of the suite: what is measured with whom."""

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks import delay, enqueueing, ingest, outage, sizes, spread, startup
from benchmarks.bursts import bursts
from benchmarks.contenders import Contender, everybody, ours
from benchmarks.disk import alone_and_beside
from benchmarks.measuring import Upload, upload
from benchmarks.reports import endless
from roark_ledger.packing import pack

Row = dict[str, Any]
FAILED: list[str] = []
IN_MEMORY = Path("/dev/shm")
SMALL_BACKLOGS = {1_000: 10, 10_000: 3}
SMALL_BACKLOGS_QUICKLY = {1_000: 3, 10_000: 1}


@dataclass(frozen=True)
class Plan:
    """How thorough this run is."""

    pool: Path
    peers: Path
    quick: bool
    rounds: int
    seconds: float
    largest: int
    latencies: tuple[int, ...] = (100, 0, 300)
    known: tuple[Row, ...] = ()

    @property
    def contenders(self) -> list[Contender]:
        return [each for each in everybody(self.peers) if each.quick or not self.quick]


def uploads(plan: Plan) -> list[Row]:
    """Everybody over TLS at 100 ms upstream, as every real upload is; then the fastest of each kind by then, without
    TLS and at other latencies.

    What is known of latencies that are not measured now is kept.
    """
    rows = [row for row in plan.known if row["latency_ms"] not in plan.latencies]
    ways = [(100, True), (100, False)] if 100 in plan.latencies else []
    for latency_ms, tls in [*ways, *((each, True) for each in plan.latencies if each != 100)]:

        def measured(contender: Contender, latency_ms: int = latency_ms, tls: bool = tls) -> Row:
            return upload(contender, plan.pool, latency_ms=latency_ms, seconds=plan.seconds, tls=tls).as_json()

        some = plan.contenders if (latency_ms, tls) == (100, True) else _fastest(plan, rows)
        if plan.quick and not tls:
            some = [each for each in some if each.family in {"ours", "bare"}]
        rows += _rounds(plan, some, measured)
    return rows


def _fastest(plan: Plan, rows: list[Row]) -> list[Contender]:
    peers = [row for row in rows if row["latency_ms"] == 100 and row.get("tls")]
    fastest = {min((row for row in peers if row["family"] == kind), key=_cpu)["name"] for kind in ("celery", "queue")}
    return [each for each in plan.contenders if each.family in {"ours", "bare"} or each.name in fastest]


def taking_in(plan: Plan) -> list[Row]:
    """The webhook and its peers."""
    return _rounds(plan, ingest.endpoints(plan.peers), lambda each: ingest.load(each, plan.pool, seconds=plan.seconds))


def webhook_processes(plan: Plan) -> list[Row]:
    """One process and one per core, with more and more connections; behind nginx; the load by itself; a pace below
    saturation."""
    some = [(way, connections) for connections in (32, 256, 1000) for way in ("one process", "one per core")]
    more = (ingest.BEHIND_NGINX, ingest.LOAD_ALONE, ingest.PACED, ingest.PACED_BEHIND_NGINX)
    some += [(way, connections) for connections in (256, 1000) for way in more]

    def measured(each: tuple[str, int]) -> Row:
        way, connections = each
        row = ingest.webhook(way, plan.pool, seconds=plan.seconds, connections=connections)
        return {**row, "name": f"{way}, {connections} connections", "way": way, "connections": connections}

    return _rounds(plan, some, measured)


def report_sizes(plan: Plan) -> list[Row]:
    """Reports from 1 kB to 25 MB through webhook and worker."""
    some = sizes.QUICK if plan.quick else tuple(sizes.SIZES)
    return _rounds(plan, some, lambda each: sizes.through(each, plan.peers, seconds=plan.seconds))


def rewriting(plan: Plan) -> list[Row]:
    """Accepts beside a rewrite of the append-only file, and a start from it, with the server that `up` starts.

    What of it is the disk's: the same with the files in memory, and the disk with no server.
    """
    counts = (20_000,) if plan.quick else (100_000,)

    def measured(count: int) -> Row:
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            found = outage.measure(Path(folder), count=count, batch=8, every=0.01, changed={})
            megabytes = count * found["rewritten_bytes_each"] // 1_000_000
            found["disk"] = alone_and_beside(Path(folder), megabytes=megabytes)
        if IN_MEMORY.is_dir():
            with tempfile.TemporaryDirectory(prefix="bench-", dir=IN_MEMORY) as folder:
                found["in_memory"] = outage.measure(
                    Path(folder), count=count, batch=8, every=0.01, changed={}, restart=False
                )
        return {"name": f"{count:,} waiting", **found}

    return _rounds(plan, counts, measured)


def handing_in(plan: Plan) -> list[Row]:
    """Programs that hand in reports, and their peers."""
    some = [each for each in everybody(plan.peers) if not plan.quick or each.family != "queue"]
    count = 1_000 if plan.quick else 5_000
    return _rounds(plan, enqueueing.ways(some), lambda each: enqueueing.enqueue(each, plan.pool, count=count))


def light_load(plan: Plan) -> list[Row]:
    """50 reports/s: how long each one waits."""
    seconds = 8 if plan.quick else 30
    plain = next(each for each in everybody(plan.peers) if each.name == "plain Celery, by id, threads 64")
    taskiq = next(each for each in everybody(plan.peers) if each.name.startswith("taskiq"))
    some = [(ours("roark-ingest"), "benchmarks.ours:enqueue_singly"), (plain, plain.fill), (taskiq, taskiq.fill)]
    return _rounds(plan, some, lambda each: delay.delay(each[0], each[1], plan.pool, seconds=seconds))


def flatness(plan: Plan) -> list[Row]:
    """The cost of a report with ever more of them waiting, and what each takes in Redis."""
    backlogs = [size for size in (1_000, 10_000, 100_000, 1_000_000) if size <= plan.largest]

    def once(backlog: int) -> Upload:
        some = ours(f"{backlog:,} waiting")
        if times := (SMALL_BACKLOGS_QUICKLY if plan.quick else SMALL_BACKLOGS).get(backlog):
            return bursts(some, plan.pool, latency_ms=100, backlog=backlog, times=times)
        to_the_end = backlog <= 100_000
        return upload(some, plan.pool, latency_ms=100, seconds=plan.seconds, backlog=backlog, to_the_end=to_the_end)

    def measured(backlog: int) -> Row:
        return {**once(backlog).as_json(), "zstd_bytes": _mean_packed(plan.pool)}

    return _rounds(plan, backlogs, measured)


def switches(plan: Plan) -> list[Row]:
    """What each promise costs: the product with one of them switched off."""
    some = [
        (ours("as it comes"), "always"),
        (ours("no line in the log for each delivery", log_level="warning"), "always"),
        (ours("Flower is told of no report", flower_events="off"), "always"),
        (ours("Flower is told of every report", flower_successes_per_second="1000000", quick=False), "always"),
        (ours("the disk is synced once a second", durability="memory"), "everysec"),
    ]
    return _rounds(
        plan,
        [each for each in some if each[0].quick or not plan.quick],
        lambda each: upload(each[0], plan.pool, latency_ms=100, seconds=plan.seconds, fsync=each[1]).as_json(),
    )


def partitions(plan: Plan) -> list[Row]:
    """A ledger of 1, 4 and 16 partitions, all on one server: what a partition costs by itself."""
    some = [
        replace(ours(f"{number} partition{'s' * (number > 1)}"), fill=f"benchmarks.ours:enqueue{way}")
        for number, way in ((1, ""), (4, "_over_4"), (16, "_over_16"))
    ]
    return _rounds(plan, some, lambda each: upload(each, plan.pool, latency_ms=100, seconds=plan.seconds).as_json())


def cluster(plan: Plan) -> list[Row]:
    """A ledger of 16 partitions on three primaries: a million reports from end to end."""
    return _rounds(replace(plan, rounds=1), (20_000 if plan.quick else 1_000_000,), spread.through)


def starting(plan: Plan) -> Row:
    """The command's help and a worker."""
    times = 5 if plan.quick else 11
    return {
        "help_seconds": startup.help_seconds(times),
        "help_cpu_seconds": startup.help_cpu_seconds(times),
        "worker_seconds": startup.worker_seconds(min(times, 5)),
        "import": startup.importing(times),
    }


ALL: dict[str, Callable[[Plan], Any]] = {
    "uploads": uploads,
    "ingest": taking_in,
    "webhook": webhook_processes,
    "sizes": report_sizes,
    "rewrite": rewriting,
    "enqueue": handing_in,
    "delay": light_load,
    "flatness": flatness,
    "switches": switches,
    "partitions": partitions,
    "cluster": cluster,
    "startup": starting,
}


def _rounds(plan: Plan, contenders: Iterable[Any], measured: Callable[[Any], Row]) -> list[Row]:
    """Let all take turns, `plan.rounds` times, and return one row of medians for each that got through."""
    everyone = list(contenders)
    found: dict[int, list[Row]] = {}
    for _ in range(plan.rounds):
        for place, each in enumerate(everyone):
            try:
                row = measured(each)
            except Exception as error:  # noqa: BLE001 one contender that fails must not take the others with it
                told = f"{_name(each)}: {type(error).__name__}"
                FAILED.append(told)
                print(f"  failed: {told}: {str(error)[-800:]}", file=sys.stderr, flush=True)
                continue
            print("  " + _short(row), file=sys.stderr, flush=True)
            found.setdefault(place, []).append(row)
    return [_median(rows) for _, rows in sorted(found.items())]


def _name(each: Any) -> str:
    first = each[0] if isinstance(each, tuple) else each
    return str(getattr(first, "name", first))


def _median(rows: list[Row]) -> Row:
    def median(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return _median(values)
        # What is the same in all rounds was set, not measured, and stays as it is: of two, the median of 100 is 100.0.
        is_measured = isinstance(values[0], int | float) and len(set(values)) > 1
        return statistics.median(values) if is_measured else values[0]

    return {name: median([row[name] for row in rows]) for name in rows[0]}


def _short(row: Row) -> str:
    shown = {name: round(value, 3) for name, value in row.items() if isinstance(value, int | float)}
    return f"{row['name']}: " + ", ".join(f"{name} {value}" for name, value in shown.items())


def _cpu(row: Row) -> float:
    cpu: float = row["cpu_ms"]
    return cpu


def _mean_packed(pool: Path) -> float:
    def sizes() -> Iterator[int]:
        for _, (_, report) in zip(range(512), endless(pool), strict=False):
            yield len(pack(report))

    return statistics.fmean(sizes())
