"""What an outage of Roark takes: memory, disk, time to start again, and what goes to the webhooks' disks. Pure.

    plan = plan_outage(Load(per_second=100, seconds=86_400, packed_bytes=9_100), Provision(most=64 * 10**9))
    plan.memory_bytes   # the maxmemory with which everything stays in Redis

1. While nothing is delivered, each report that comes in stays in Redis: up to 85 % of maxmemory.
2. From then on Redis takes none, and each webhook writes to its spool, up to ROARK_INGEST_SPOOL_MAX_BYTES.
3. From then on webhooks answer 503, and what becomes of a report is up to its sender.

The figures are measured: ops/docs/sizing.md has them, and says how.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from roark_ledger.records.forecast import bytes_waiting
from roark_ledger.records.snapshot import SHORT_SHARE, Memory
from roark_ledger.records.sums import added
from roark_ops.cli.terminal.words import counted, span

_IN_FILE_BYTES = 300
"""Of a report in the append-only file, beside the packed one."""
_FILE_COPIES = 2.1
"""While the file is rewritten, the old one is there beside the new one, and what comes in meanwhile."""
_IN_SPOOL_BYTES = 150
"""Of a request in a spool, beside its body as it is packed there."""
_START_SECONDS_PER_REPORT, _START_SECONDS_PER_BYTE = 25e-6, 2.5e-9
"""Of a server that starts: 17 to 31 us of CPU for a report of 10 kB, and a disk that reads 400 MB/s."""
_MONTH_SECONDS = 30 * 86_400


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in, and for how long nothing goes out. `packed_bytes` is a report's mean size as it is kept."""

    per_second: float
    seconds: float
    packed_bytes: float


@dataclass(frozen=True, slots=True)
class Provision:
    """What there is: Redis's maxmemory (0: not known) and what is used of it, and each webhook's spool."""

    most: int = 0
    used: int = 0
    spool_bytes: int = 0
    webhooks: int = 1


@dataclass(frozen=True, slots=True)
class OutagePlan:
    """What the outage takes. `memory_bytes` and `disk_bytes` are Redis's, if all reports are to stay there.

    With the memory there is, reports fit for `memory_seconds`, then the spools take `spool_bytes` each for
    `spool_seconds`, and for `refused_seconds` webhooks answer 503. `spool_needed_bytes` is the spool that each webhook
    needs to refuse none. The times are None where no maxmemory is known.
    """

    reports: int
    memory_bytes: int
    disk_bytes: int
    start_seconds: float
    memory_seconds: float | None
    spool_seconds: float | None
    refused_seconds: float | None
    spooled_bytes: int
    spool_needed_bytes: int
    webhooks_needed: int


def packed_bytes_of(size: float) -> float:
    """Return how large a report of that size is as it is kept: a fifth at 16 kB, a seventh at 70, a tenth at 500.

    Fitted to made-up reports of 10 to 500 kB. Your own ledger knows its own.
    """
    return float(min(size, 1.4 * size**0.8))


def plan_outage(load: Load, room: Provision) -> OutagePlan:
    """Return what an outage takes, and how far what there is lasts."""
    reports = load.per_second * load.seconds
    each, spooled_each = bytes_waiting(load.packed_bytes), load.packed_bytes + _IN_SPOOL_BYTES
    fit = min(reports, max(0.0, room.most * SHORT_SHARE - room.used) / each) if room.most else reports
    rest = reports - fit
    spool_takes = min(rest, room.webhooks * room.spool_bytes / spooled_each)
    known = room.most > 0 and load.per_second > 0
    return OutagePlan(
        reports=round(reports),
        memory_bytes=round((room.used + reports * each) / SHORT_SHARE),
        disk_bytes=round(reports * (load.packed_bytes + _IN_FILE_BYTES) * _FILE_COPIES),
        start_seconds=reports * (_START_SECONDS_PER_REPORT + load.packed_bytes * _START_SECONDS_PER_BYTE),
        memory_seconds=fit / load.per_second if known else None,
        spool_seconds=spool_takes / load.per_second if known else None,
        refused_seconds=(rest - spool_takes) / load.per_second if known else None,
        spooled_bytes=round(spool_takes * spooled_each / room.webhooks),
        spool_needed_bytes=round(rest * spooled_each / room.webhooks),
        webhooks_needed=-int(-rest * spooled_each // room.spool_bytes) if room.spool_bytes else 0,
    )


@dataclass(frozen=True, slots=True)
class FullestNode:
    """The server on which memory ends first. `node` names it where it is one of a cluster's.

    `memory` has what comes in there. It has `partitions` of the ledger's, which lie on so many `nodes`.
    """

    memory: Memory
    node: str = ""
    partitions: int = 1
    all_partitions: int = 1
    nodes: int = 1

    def seconds_with(self, more_nodes: int) -> float | None:
        """For how long reports would fit in with so many nodes more, over which partitions are spread evenly."""
        memory, share = self.memory, -(-self.all_partitions // (self.nodes + more_nodes)) / self.partitions
        if memory.intake is None or share >= 1:
            return memory.outage_seconds()
        intake = replace(memory.intake, per_second=memory.intake.per_second * share)
        return replace(memory, used=round(memory.used * share), intake=intake).outage_seconds()


def fullest_of(found: Sequence[tuple[str, Memory]]) -> FullestNode:
    """Return the node whose memory ends first, from the node and the memory that each partition tells of."""
    at: dict[str, list[Memory]] = {}
    for node, memory in found:
        at.setdefault(node, []).append(memory)
    each = [
        FullestNode(
            replace(max(told, key=lambda memory: memory.used), intake=added(memory.intake for memory in told)),
            node,
            len(told),
            len(found),
            len(at),
        )
        for node, told in at.items()
    ]
    return min(each, key=lambda one: seconds if (seconds := one.memory.outage_seconds()) is not None else inf)


def lasts_in_words(fullest: FullestNode) -> str:
    """Return how long reports fit into memory while none is delivered; "" where too little has come in to tell."""
    memory, node = fullest.memory, fullest.node
    intake = memory.intake
    if intake is None or intake.bytes_per_second <= 0:
        return ""
    rate = f"{intake.per_second:.3g} reports/s of {intake.packed_bytes / 1000:.3g} kB as stored"
    if node and fullest.all_partitions > 1:
        rate += f" on {node}, which has {fullest.partitions} of {fullest.all_partitions} partitions"
    lasts, twice = memory.outage_seconds(), memory.outage_seconds(2)
    if lasts is None or twice is None:
        return f"no estimate: Redis has no maxmemory, so it takes reports until its machine has no memory left ({rate})"
    if lasts > _MONTH_SECONDS:
        return f"memory lasts more than a month at today's rate ({rate})"
    told = f"memory lasts {span(lasts)} at today's rate ({rate}), {span(twice)} with twice as much"
    return told + _with_more_nodes(fullest) if node else told


def _with_more_nodes(fullest: FullestNode) -> str:
    if fullest.all_partitions == 1:
        return f" on {fullest.node}; more nodes add none, as the ledger is on one"
    some = [(more, fullest.seconds_with(more)) for more in (1, fullest.nodes) if more < fullest.all_partitions]
    told = [f"{span(seconds)} with {counted(more, 'more node')}" for more, seconds in dict(some).items() if seconds]
    return "".join(f", {one}" for one in told)
