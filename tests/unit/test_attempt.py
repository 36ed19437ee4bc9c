"""The time that an upload took, as it is kept and shown."""

import msgspec
import pytest
from attempts import judged
from delivering import worker_settings

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Claimed, Deliver
from roark_worker.answers.verdict import Delivered
from roark_worker.deciding import decide

CLAIMED = Claimed(CallId("call-1"), LeaseToken(7), attempts=0, age_ms=1000, revision=False, priority="f", packed=b"")


@pytest.mark.parametrize(("seconds", "ms"), [(0.0, 1), (0.0004, 1), (0.0016, 2), (0.1204, 120), (31.0, 31_000)])
def test_an_upload_took_at_least_a_millisecond(seconds: float, ms: int) -> None:
    attempt = judged(CLAIMED, Delivered(200, "roark-1"), seconds=seconds)

    outcome = decide(attempt, worker_settings().schedule(), max_conflicts=3, chance=0.5)

    assert isinstance(outcome, Deliver)
    assert msgspec.json.decode(outcome.detail)["ms"] == ms
    assert (outcome.took_ms, outcome.age_ms) == (ms, 1000 + ms)
