"""Dead letters sent again at once: a replay job without a ramp, taken to its end here and not by a worker's tick."""

from collections.abc import Sequence

from roark_ledger.ledger import Ledger
from roark_ledger.moves import replay, watch
from roark_ledger.records.replays import Plan

AT_ONCE = Plan(ramp=(), stop_share=1.0)
MANY = 10**6
WHO = b'{"by":"ada"}'


def replay_at_once(ledger: Ledger, call_ids: Sequence[str], who: bytes = WHO) -> list[str]:
    """Return `replayed`, or the state that a call is in instead, for each."""
    entries = ledger.run_all([watch.look(call_id) for call_id in call_ids])
    died = [entry.record.since_ms if entry and entry.record else 0 for entry in entries]
    job = ledger.run(replay.open_job(most_open=MANY))
    assert job
    results = ledger.run(replay.select(job, list(zip(call_ids, died, strict=True))))
    ledger.run(replay.start(job, AT_ONCE, delay_ms=0, who=who, spec=b"{}"))
    while (found := ledger.run(replay.job(job))) and found.unsent:
        ledger.run(replay.step(most=MANY, queue_most=MANY, patience_ms=MANY, silence_ms=MANY, keep_ms=0))
    return ["replayed" if result == "selected" else result for result in results]
