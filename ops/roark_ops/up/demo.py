"""The demo: made-up reports go through the webhook as Vapi's would, and are followed until Roark has them.

1. A seed is drawn from what the ledger has counted so far, so that each run brings new calls.
2. The messages are posted: reports, some of them twice, some unusable, and messages of other types between them.
3. Meanwhile the ledger is watched until every call that was taken in has come to rest.
4. In front of the sandbox some calls' reports are never sent (`vapi_list.py`): the ledger is compared with the list of
   the calls that ended, and what is missing is brought in, delivered, and compared once more.
5. The figures come from the ledger's own records, and the sandbox is asked whether it has each call once.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import httpx
import msgspec

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import AsyncLedger
from roark_ledger.lifecycle import State
from roark_ledger.moves import watch
from roark_ledger.records.record import Entry
from roark_ledger.records.snapshot import Snapshot
from roark_ops.up.comparing import SandboxComparer, reconciled
from roark_ops.up.plan import UpPlan
from roark_ops.up.told.summary import Received, ThreeSides, UpSummary, compare, summarise, taken_in
from roark_ops.up.vapi import Posted, post_all
from roark_ops.up.vapi_list import VapiList
from roark_samples import sample_reports
from roark_worker.calls.reconcile import Comparison

_SECOND_MESSAGES = 0.05
_OTHER_MESSAGES = 0.15
_LOOK_SECONDS = 0.1
_PATIENCE_SECONDS = 30.0
_ENTRIES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a demo is: `posted` of `reports`; `taken_in` calls of which `delivered`; `states` is the whole ledger.

    What an earlier run left on its way is in both of the latter.
    """

    posted: int
    reports: int
    taken_in: int
    delivered: int
    states: Mapping[State, int]


class Demo:
    """One demo over a running pipeline. `show` is called several times a second.

    With a comparer, reports are left out and brought in.
    """

    def __init__(
        self,
        plan: UpPlan,
        ledger: AsyncLedger,
        headers: Mapping[str, str],
        show: Callable[[Progress], object],
        comparer: SandboxComparer | None = None,
    ) -> None:
        self._plan = plan
        self._ledger = ledger
        self._headers = headers
        self._show = show
        self._comparer = comparer
        self._listed = VapiList()
        self._answers: list[Posted] = []
        self._fed = False

    async def run(self) -> UpSummary:
        """Feed, follow, and return the figures; those that do not move for half a minute are not waited for."""
        before = await self._ledger.run(watch.snapshot())
        await asyncio.gather(self._feed(seed_after(before)), self._follow(before))
        compared = await self._compared(self._comparer, before) if self._comparer else None
        entries = await self._entries()
        return summarise(self._answers, entries, await self._received(entries), compared)

    async def _feed(self, seed: int) -> None:
        samples = sample_reports(self._plan.reports, seed, dup=_SECOND_MESSAGES, mix=_OTHER_MESSAGES)
        await post_all(
            self._plan.webhook_url,
            self._listed.sent_of(samples) if self._comparer else samples,
            headers=self._headers,
            per_second=self._plan.rate,
            told=self._answers.append,
        )
        self._fed = True

    async def _follow(self, before: Snapshot) -> None:
        loop = asyncio.get_running_loop()
        stood_at, moved_at = (0, 0, 0), loop.time()
        while loop.time() < moved_at + _PATIENCE_SECONDS:
            try:
                now = await self._ledger.run(watch.snapshot())
            except LedgerUnavailable:
                # The server was killed for the fun of it, and is started again.
                await asyncio.sleep(_LOOK_SECONDS)
                continue
            progress = self._progress(before, now)
            self._show(progress)
            if (here := (len(self._answers), on_the_way(now), progress.delivered)) != stood_at:
                stood_at, moved_at = here, loop.time()
            arrived = now.total("accepted") - before.total("accepted") >= len(taken_in(self._answers))
            if self._fed and arrived and on_the_way(now) == 0:
                return
            await asyncio.sleep(_LOOK_SECONDS)

    async def _compared(self, comparer: SandboxComparer, before: Snapshot) -> ThreeSides:
        until_ms = int(time.time() * 1000) + 1
        since_ms = self._listed.since_ms or until_ms - 1
        first = last = Comparison(since_ms, until_ms)
        try:
            async with self._sandbox() as client:
                await self._listed.hand_over(client)
        except httpx.HTTPError as error:
            first.incomplete = f"the sandbox did not take Vapi's list ({type(error).__name__})"
        if not first.incomplete:
            first = last = await comparer.bring_in(since_ms, until_ms)
        if first.backfilled:
            await self._follow(before)
        if not first.incomplete:
            last = await comparer.certify(since_ms, until_ms)
        return reconciled(len(self._listed.left_out), first, last)

    def _progress(self, before: Snapshot, now: Snapshot) -> Progress:
        posted = sum(1 for answer in self._answers if answer.result != "ignored")
        return Progress(
            posted=posted,
            reports=max(posted, self._plan.reports - self._listed.messages_left_out),
            taken_in=now.total("accepted") - before.total("accepted") + on_the_way(before),
            delivered=now.states[State.DELIVERED] - before.states[State.DELIVERED],
            states=now.states,
        )

    async def _entries(self) -> list[Entry]:
        call_ids = taken_in(self._answers)
        entries: list[Entry] = []
        for first in range(0, len(call_ids), _ENTRIES_AT_ONCE):
            looks = [watch.look(call_id) for call_id in call_ids[first : first + _ENTRIES_AT_ONCE]]
            entries += [entry for entry in await self._ledger.run_all(looks) if entry]
        return entries

    async def _received(self, entries: list[Entry]) -> Received | None:
        if not self._plan.sandbox_url:
            return None
        delivered = [entry.call_id for entry in entries if entry.record and entry.record.state is State.DELIVERED]
        async with self._sandbox() as client:
            calls = msgspec.json.decode((await client.get("/_sandbox/calls")).content)["calls"]
        return compare(delivered, calls)

    def _sandbox(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self._plan.sandbox_url or "", timeout=_PATIENCE_SECONDS, trust_env=False)


def on_the_way(snapshot: Snapshot) -> int:
    """Return how many reports have not come to rest."""
    return sum(snapshot.states[state] for state in (State.READY, State.UPLOADING, State.WAITING))


def seed_after(snapshot: Snapshot) -> int:
    """Return a seed that no earlier demo on this ledger can have had: whatever came in made it larger."""
    return 1 + sum(snapshot.total(name) for name in ("accepted", "duplicates", "replaced", "revisions"))
