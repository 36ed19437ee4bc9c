"""Many light workers on a ledger of one partition, or of many, in virtual time: the ledger is real, the rest is not.

    crew = Crew(client, prefix, roark, partitions=64, workers=200, rules=FlowRules(...))
    crew.run(crew.arrive(per_second=20_000, seconds=5))

A worker claims, uploads and records as `delivery.py` and `recorder.py` do, in a tenth of their time; what answers mean
and what is recorded of them is decided by the worker's own rules. Between what it asks one place and the next, `delay`
may pass, in which the others go on.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from datetime import UTC, datetime
from typing import Any

import redis
from partitioned import Partitioned, partition_of
from pipeline_in_virtual_time import START_MS, packed_report
from simulated_roark import SimulatedRoark
from virtual_time import run_virtually

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.flow import NO_LIMITS, FlowRules
from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake, upkeep, watch
from roark_ledger.moves.delivery import Bury, Claim, Defer, Deliver, Held, Outcome, Refuse, Release
from roark_ledger.moves.intake import Acceptable
from roark_ledger.moves.operation import Operation
from roark_ledger.packing import unpack
from roark_ledger.partitions.lane import Asked, Permitted, Plan
from roark_ledger.routes import Route
from roark_worker.answers.verdict import Passing, judge
from roark_worker.attempt import Attempt
from roark_worker.deciding import decide
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import UploadFailed, upload_body

LEASE_MS, LISTEN_MS, MOST_BYTES = 30_000, 400, 10**9
LONGEST_GAP_MS, MOST_SENDS, MAX_CONFLICTS = 60_000, 20, 20
WORKERS = WorkerSettings(_env_file=None, roark_api_bearer_token="token")
"""Their settings, where nobody set any."""
Delay = Callable[[random.Random], float]


class _OnePartition:
    """Asks a ledger of one partition what a worker asks."""

    def __init__(self, crew: "Crew") -> None:
        self._crew = crew

    async def claim(self, wanted: int) -> Claim:
        claim: Claim = await self._run(_claim(wanted, self._crew.rules))
        return claim

    async def settle(self, outcomes: Sequence[Outcome]) -> set[Held]:
        """Record outcomes; return whose could not be."""
        for kind, some in _by_kind(outcomes).items():
            if kind is Refuse:
                await self._run(delivery.refuse(some, longest_gap_ms=LONGEST_GAP_MS, most_sends=MOST_SENDS))
            else:
                await self._run(_recorded(some, self._crew.rules))
        return set()

    async def renew(self, held: Sequence[Held]) -> None:
        await self._run(delivery.renew(held, lease_ms=LEASE_MS))

    async def _run(self, operation: Operation[Any]) -> Any:
        (answer,) = await self._crew.ask([(0, operation)])
        if isinstance(answer, Exception):
            raise answer
        return answer


class _Partitions:
    """Asks partitions and their home, by plans."""

    def __init__(self, crew: "Crew", chance: random.Random) -> None:
        self._crew = crew
        self.permitted = Permitted(
            crew.partitions, partition_of=partition_of, chance=chance.random, clock=lambda: crew.seconds
        )

    async def claim(self, wanted: int) -> Claim:
        def some(number: int, most_bytes: int, route: Route | None, which: str) -> Operation[Claim]:
            return _claim(number, NO_LIMITS, which=which)

        claim: Claim = await self._carry_out(
            self.permitted.claim(
                some,
                wanted=wanted,
                lease_ms=LEASE_MS,
                listen_ms=LISTEN_MS,
                most_bytes=MOST_BYTES,
                rules=self._crew.rules,
            )
        )
        return claim

    async def settle(self, outcomes: Sequence[Outcome]) -> set[Held]:
        """Record outcomes; return whose could not be."""
        rules, left = self._crew.rules, set()
        bounds = {"longest_gap_ms": LONGEST_GAP_MS, "most_sends": MOST_SENDS}
        for kind, some in _by_kind(outcomes).items():
            if kind is Refuse:
                recorded = await self._carry_out(self.permitted.refuse(some, rules=rules, **bounds))
            else:
                recorded = await self._carry_out(
                    self.permitted.settle(some, lambda these: _recorded(these, NO_LIMITS), rules=rules)
                )
            left |= {some[place].held for place in recorded.away}
        return left

    async def renew(self, held: Sequence[Held]) -> None:
        await self._carry_out(self.permitted.renew(held, lease_ms=LEASE_MS))

    async def _carry_out(self, plan: Plan[Any]) -> Any:
        answers = None
        while True:
            try:
                asked = plan.send(answers)  # type: ignore[arg-type] # a generator is begun by sending it nothing
            except StopIteration as end:
                return end.value
            answers = await self._crew.ask(asked)


def _claim(wanted: int, rules: FlowRules, *, which: str = "") -> Operation[Claim]:
    return delivery.claim(
        wanted=wanted, lease_ms=LEASE_MS, listen_ms=LISTEN_MS, most_bytes=MOST_BYTES, rules=rules, which=which
    )


def _by_kind(outcomes: Sequence[Outcome]) -> dict[type, list[Any]]:
    # Deliveries first, refusals after them, as the recorder does.
    return {
        kind: some
        for kind in (Deliver, Defer, Bury, Refuse, Release)
        if (some := [one for one in outcomes if isinstance(one, kind)])
    }


def _recorded(outcomes: Sequence[Any], rules: FlowRules) -> Operation[Any]:
    match outcomes[0]:
        case Deliver():
            return delivery.deliver(outcomes, keep_payloads=False, rules=rules)
        case Defer():
            return delivery.defer(outcomes, rules=rules)
        case Bury():
            return delivery.bury(outcomes, rules=rules)
    return delivery.release([one.held for one in outcomes])


class Worker:
    """One worker process."""

    def __init__(self, crew: "Crew", number: int) -> None:
        self._crew = crew
        self._chance = random.Random(f"{crew.seed} worker {number}")
        self._ledger = _OnePartition(crew) if crew.partitions == 1 else _Partitions(crew, self._chance)
        self._ended: list[Attempt] = []
        self._uploads: dict[asyncio.Task[None], Attempt] = {}
        self._in_hand: set[Attempt] = set()
        self.is_alive = True
        self._tasks = [asyncio.create_task(each) for each in (self._claim_on(), self._settle_on(), self._renew_on())]

    @property
    def uploads(self) -> int:
        return len(self._uploads)

    async def _claim_on(self) -> None:
        crew = self._crew
        # Not all at the same moment.
        await asyncio.sleep(self._chance.random() * crew.ask_seconds)
        while True:
            wanted = min(crew.most_in_flight - len(self._uploads), crew.batch)
            claim = None
            if wanted > 0:
                try:
                    claim = await self._ledger.claim(wanted)
                except LedgerUnavailable:
                    crew.faults["claim"] += 1
            for report in claim.reports if claim else ():
                crew.claimed += 1
                attempt = Attempt.of(report)
                self._in_hand.add(attempt)
                task = asyncio.create_task(self._upload(attempt))
                self._uploads[task] = attempt
                task.add_done_callback(self._uploads.pop)
            seconds = min(claim.wait_ms / 1000, 0.25) if claim and claim.wait_ms else crew.ask_seconds
            await asyncio.sleep(0 if claim and len(claim.reports) == crew.batch else seconds)

    async def _upload(self, attempt: Attempt) -> None:
        began = self._crew.seconds
        body = upload_body(unpack(attempt.claimed.packed), revision=attempt.claimed.revision)
        try:
            attempt.answer = await self._crew.roark.upload(body)
        except UploadFailed as error:
            attempt.verdict = Passing(error.reason, message=error.detail)
        attempt.end(self._crew.seconds - began, (START_MS / 1000) + self._crew.seconds)
        self._ended.append(attempt)

    async def _settle_on(self) -> None:
        while True:
            await asyncio.sleep(self._crew.gather_seconds)
            if not self._ended:
                continue
            batch, self._ended = self._ended, []
            for one in batch:
                if one.answer and not one.outcome:
                    one.verdict = judge(one.answer, datetime.fromtimestamp(one.ended, UTC))
                if not one.outcome:
                    one.outcome = decide(
                        one, self._crew.schedule, max_conflicts=MAX_CONFLICTS, chance=self._chance.random()
                    )
            try:
                left = await self._ledger.settle([one.outcome for one in batch if one.outcome])
                kept = [one for one in batch if one.held in left]
                self._in_hand.difference_update(one for one in batch if one.held not in left)
                self._ended = [*kept, *self._ended]
            except LedgerUnavailable:
                self._crew.faults["settle"] += 1
                self._ended = [*batch, *self._ended]

    async def _renew_on(self) -> None:
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            if self._in_hand:
                try:
                    await self._ledger.renew([one.held for one in self._in_hand])
                except LedgerUnavailable:
                    self._crew.faults["renew"] += 1

    async def die(self) -> None:
        """End as by `kill -9`: nothing more reaches the ledger, and its uploads break off."""
        self.is_alive = False
        tasks = [*self._tasks, *self._uploads]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Crew:
    """Everything of one run."""

    def __init__(
        self,
        client: "redis.Redis",
        prefix: str,
        roark: SimulatedRoark,
        *,
        partitions: int,
        workers: int = 4,
        rules: FlowRules = WORKERS.flow_rules(),  # noqa: B008 frozen
        delay: Delay | None = None,
        most_in_flight: int = 128,
        batch: int = 64,
        ask_seconds: float = 0.005,
        gather_seconds: float = 0.02,
        seed: int = 1,
    ) -> None:
        self.roark, self.partitions, self.workers, self.rules = roark, partitions, workers, rules
        self.most_in_flight, self.batch = most_in_flight, batch
        self.ask_seconds, self.gather_seconds, self.seed = ask_seconds, gather_seconds, seed
        self.chance = random.Random(seed)
        self._delay = delay
        self.schedule = WORKERS.schedule()
        self.clock_is_off_ms = 0
        if partitions == 1:
            self.ledgers = Partitioned(client, f"{prefix}:home", 0, self._now_ms)
            self.ledgers.parts = [Ledger(client, prefix=prefix, clock=self._now_ms)]
            self.ledgers.home = self.ledgers.parts[0]
        else:
            self.ledgers = Partitioned(client, prefix, partitions, self._now_ms)
        self.home = self.ledgers.home
        self.staff: list[Worker] = []
        self.accepted: dict[str, float] = {}
        self.faults: Counter[str] = Counter()
        self.claimed = 0
        self.delivered_meanwhile = self.under_way = 0

    @property
    def seconds(self) -> float:
        return asyncio.get_running_loop().time()

    def _now_ms(self) -> int:
        return START_MS + self.clock_is_off_ms + int(self.seconds * 1000)

    async def ask(self, asked: Asked) -> list[Any]:
        if self._delay:
            await asyncio.sleep(self._delay(self.chance))
        return self.ledgers.ask(asked)

    def run(self, *happenings: Coroutine[Any, Any, None], most_seconds: float = 3600) -> None:
        """Let happen what is given, then go on until every report is delivered or dead."""
        run_virtually(self._run(happenings, most_seconds))

    async def _run(self, happenings: Sequence[Coroutine[Any, Any, None]], most_seconds: float) -> None:
        self.staff = [Worker(self, number) for number in range(self.workers)]
        upkeep_of_all = asyncio.create_task(self._keep_up())
        await asyncio.gather(*happenings)
        last = self.seconds + most_seconds
        while self._is_anything_left() and self.seconds < last:
            await asyncio.sleep(0.5)
        upkeep_of_all.cancel()
        for worker in self.staff:
            if worker.is_alive:
                await worker.die()
        self.took, self.at_end = self.seconds, self.states()

    def _is_anything_left(self) -> bool:
        open_states = (State.READY, State.UPLOADING, State.WAITING)
        return any(self.states()[state] for state in open_states)

    def states(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for part in self.ledgers.parts:
            found.update(part.run(watch.snapshot()).states)
        return found

    @property
    def home_out(self) -> int:
        """How many permits are given."""
        found: int = self.home.client.zcard(self.home.calls.keys.uploading)
        return found

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(1)
            for where, part in enumerate(self.ledgers.parts):
                if where in self.ledgers.away:
                    continue
                part.run(upkeep.promote(most=500))
                part.run(upkeep.reap(most=500, deaths=3))

    async def until(self, condition: Callable[[], bool], most_seconds: float) -> None:
        last = self.seconds + most_seconds
        while not condition() and self.seconds < last:
            await asyncio.sleep(0.05)

    async def arrive(self, per_second: float, seconds: float, *, after: float = 0.0, every: float = 0.05) -> None:
        """Accept reports evenly, for some time."""
        await asyncio.sleep(after)
        began, done = self.seconds, 0
        while (passed := self.seconds - began) < seconds:
            due = int(passed * per_second) - done
            self.accept(due)
            done += due
            await asyncio.sleep(max(every, 1 / per_second))
        self.accept(int(seconds * per_second) - done)

    async def backlog(self, number: int) -> None:
        """Accept so many reports at once."""
        for first in range(0, number, 1000):
            self.accept(min(1000, number - first))

    def accept(self, number: int) -> None:
        self.accept_calls([f"call-{len(self.accepted) + place}" for place in range(number)])

    def accept_calls(self, ids: Sequence[str]) -> None:
        self.accepted |= dict.fromkeys(ids, self.seconds)
        by_part: dict[int, list[Acceptable]] = {}
        for one in ids:
            where = partition_of(one, self.partitions)
            by_part.setdefault(where, []).append(Acceptable(CallId(one), "print", packed_report(one)))
        for where, reports in by_part.items():
            self.ledgers.parts[where].run(intake.accept(reports, revisions="record", per_wakeup=64))
