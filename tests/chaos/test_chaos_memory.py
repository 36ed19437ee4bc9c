"""Large reports in a small container: what does not fit at once waits, what never fits is told; nobody is killed."""

import pytest
from chaos_line import Line
from memory_group import MemoryGroup
from pipeline import SUPERVISOR
from replaying import replay_at_once

from roark_ledger.lifecycle import State
from roark_ledger.moves import desk

LARGE = 14_000


@pytest.mark.chaos
def test_many_large_reports_go_through_a_small_container() -> None:
    with Line("24 reports of 2 to 18 MB, workers in 300 MB", seed=41) as line, MemoryGroup(300) as group:
        line.start(number=24, kilobytes=LARGE, per_second=24, workers=0)
        line.until(lambda: line.snapshot().states[State.READY] == 24, "all are ready")
        with line.fault():
            worker = line.run("worker", *group.around(*SUPERVISOR))
        line.prove(duplicates_at_most=0)
        assert group.kills == 0
        worker.terminate()
        assert worker.exit_code() == 0


@pytest.mark.chaos
def test_what_never_fits_is_told_and_goes_where_there_is_room() -> None:
    with Line("24 reports of 2 to 18 MB, workers in 200 MB, then in more", seed=42) as line, MemoryGroup(200) as group:
        line.start(number=24, kilobytes=LARGE, per_second=24, workers=0)
        line.until(lambda: line.snapshot().states[State.READY] == 24, "all are ready")
        worker = line.run("worker", *group.around(*SUPERVISOR))
        line.settle()
        letters = line.ledger.run(desk.page(most=1000)).letters
        assert 0 < len(letters) < 24
        assert {letter.record.note for letter in letters} == {"too_large_here"}
        assert group.kills == 0
        worker.terminate()
        assert worker.exit_code() == 0

        line.start_workers(1)
        with line.fault():
            replay_at_once(line.ledger, [letter.call_id for letter in letters])
        line.prove(duplicates_at_most=0)
