"""The demo's comparison: `roark-ingest reconcile --backfill --at-roark`, against the sandbox and without its pauses.

A call counts as missing at once, as nothing is on its way from the pretended Vapi any more; the sandbox need not be
spared, so that thousands of calls are looked up in seconds.
"""

import asyncio
import threading

import httpx
from pydantic import SecretStr

from roark_ledger.errors import IngestError
from roark_ledger.ledger import Ledger
from roark_ops.up.environments import SANDBOX_TOKEN
from roark_ops.up.told.summary import ThreeSides
from roark_producer.settings import IngestSettings
from roark_producer.taking import Intake
from roark_worker.calls.reconcile import Comparer, Comparison
from roark_worker.calls.roark_calls import RoarkCalls
from roark_worker.calls.rules import ReconcileRules, Stretch, StretchKind
from roark_worker.calls.vapi import Vapi
from roark_worker.calls.vapi_settings import VapiSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

_DAY_MS = 86_400_000


class SandboxComparer:
    """Compares the sandbox's two sides with the ledger, on a thread of its own."""

    def __init__(self, ledger: Ledger, url: str, ingest: IngestSettings, worker: WorkerSettings) -> None:
        self._ledger = ledger
        self._ingest = ingest
        self._vapi = VapiSettings(vapi_base_url=url, vapi_api_key=SecretStr(SANDBOX_TOKEN))
        self._worker = worker.model_copy(update={"roark_base_url": url})
        self._rules = ReconcileRules(settle_ms=0, back_ms=_DAY_MS)

    async def bring_in(self, since_ms: int, until_ms: int) -> Comparison:
        """Find the calls whose reports never came, and queue those. What could not be done is `incomplete`."""
        return await self._on_a_thread(Comparison(since_ms, until_ms), backfill=True)

    async def certify(self, since_ms: int, until_ms: int) -> Comparison:
        """Compare all three sides, each delivered call being looked up at Roark."""
        return await self._on_a_thread(Comparison(since_ms, until_ms), backfill=False)

    async def _on_a_thread(self, found: Comparison, *, backfill: bool) -> Comparison:
        ended = threading.Event()
        try:
            return await asyncio.to_thread(self._compare, found, ended, backfill=backfill)
        finally:
            # Whoever presses Ctrl-C does not wait for the next try.
            ended.set()

    def _compare(self, found: Comparison, ended: threading.Event, *, backfill: bool) -> Comparison:
        # The real token, from a setting or a file, stays out of it. With a transport of its own no client asks a proxy
        # for the way to this machine.
        token, transport = Token(SecretStr(SANDBOX_TOKEN)), httpx.HTTPTransport
        with (
            Vapi(self._vapi, gap_seconds=0, sleep=ended.wait, transport=transport()) as vapi,
            RoarkCalls(self._worker, token, per_second=0, sleep=ended.wait, transport=transport()) as roark,
        ):
            comparer = Comparer(
                *(self._ledger, vapi, self._rules, Intake(self._ingest)),
                backfill=backfill,
                roark=None if backfill else roark,
            )
            try:
                comparer.compare(Stretch(StretchKind.NEW, found.since_ms, found.until_ms), found)
            except IngestError as error:
                found.incomplete = str(error)
        return found


def reconciled(left_out: int, first: Comparison, last: Comparison) -> ThreeSides:
    """Return the figures of both comparisons: the one that brought in, and the one after all was delivered."""
    sums = last.certificate()
    silent = last.at_roark.silent if last.at_roark else ""
    return ThreeSides(
        left_out=left_out,
        never_came=first.backfilled + len(first.missing),
        brought_in=first.backfilled,
        at_vapi=sums["vapi"],
        here=sums["here"],
        at_roark=sums["roark"],
        agree=bool(sums["agree"] and sums["looked_up"]),
        incomplete=first.incomplete or last.incomplete or silent,
    )
