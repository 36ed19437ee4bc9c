"""A worker for tests only: it ends like a crash, once, at the place in a report's way that CRASH_AT names."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from roark_ledger.moves.delivery import Claim, LaneState, Outcome, Refuse
from roark_worker import app as worker_app
from roark_worker.attempt import Attempt
from roark_worker.delivery import Delivery
from roark_worker.journey import Journey
from roark_worker.process.engine import Engine
from roark_worker.recorder import Recorder

_CRASHED = Path("crashed")
_AT = os.environ["CRASH_AT"]


def crash() -> None:
    """End without a last word, the first time."""
    if not _CRASHED.exists():
        _CRASHED.touch()
        os._exit(137)


_drain, _claim, _upload, _record = Engine.drain, Delivery._claim, Journey._upload, Recorder._record


def drain(self: Engine) -> Any:
    if _AT == "with the wake-up in hand":
        crash()
    return _drain(self)


async def claim(self: Delivery, *, listen: bool) -> Claim:
    # The uploads that it starts have had no turn of the event loop yet.
    got = await _claim(self, listen=listen)
    if got.reports and _AT == "after claim":
        crash()
    if got.reports and (_AT, got.lane) in {
        ("with the probe of a held lane", LaneState.PROBING),
        ("with the breaker's probe", LaneState.HALF_OPEN),
    }:
        crash()
    return got


async def upload(self: Journey, attempt: Attempt) -> None:
    if _AT == "during the upload":
        asyncio.get_running_loop().call_later(0.03, crash)
    await _upload(self, attempt)
    if _AT == "after the answer":
        crash()


async def record(self: Recorder, outcomes: Sequence[Outcome]) -> None:
    if _AT == "before a refusal is recorded" and any(isinstance(one, Refuse) for one in outcomes):
        crash()
    await _record(self, outcomes)
    if _AT == "after settle":
        crash()


Engine.drain = drain  # type: ignore[method-assign]
Delivery._claim = claim  # type: ignore[method-assign]
Journey._upload = upload  # type: ignore[method-assign]
Recorder._record = record  # type: ignore[method-assign]
app = worker_app.app
