"""From an upload that has ended to its settlement: the time it took, as it is kept and shown."""

import msgspec
import pytest
from delivering import worker_settings

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Claimed, Deliver
from roark_worker.answers.verdict import Delivered
from roark_worker.deciding import Deciding, Ended

CLAIMED = Claimed(CallId("call-1"), LeaseToken(7), attempts=0, age_ms=1000, revision=False, priority="f", packed=b"")


@pytest.mark.parametrize(("seconds", "ms"), [(0.0, 1), (0.0004, 1), (0.0016, 2), (0.1204, 120), (31.0, 31_000)])
def test_an_upload_took_at_least_a_millisecond(seconds: float, ms: int) -> None:
    ended = Ended(CLAIMED, Delivered(200, "roark-1"), seconds, at=1_790_000_000.0)
    settlement = Deciding(worker_settings()).decide(ended)
    assert isinstance(settlement, Deliver)
    assert msgspec.json.decode(settlement.detail)["ms"] == ms
