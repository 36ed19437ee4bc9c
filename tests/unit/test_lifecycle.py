"""The table of legal moves, read as a table. That the scripts keep to it is driven in tests/ledger."""

import re

import pytest
from offenders import for_each

from roark_ledger import lifecycle
from roark_ledger.lifecycle import LEGAL_MOVES, UNKNOWN, Move, State, after

STARTS = [UNKNOWN, *State]
GONE = {State.EXPIRED, State.ERASED}


def test_every_move_is_in_the_table() -> None:
    assert set(LEGAL_MOVES) == set(Move)
    assert all(LEGAL_MOVES[move] for move in Move)


@pytest.mark.parametrize(
    ("state", "move", "target"),
    [
        (UNKNOWN, Move.ACCEPT, State.READY),
        (State.READY, Move.CLAIM, State.UPLOADING),
        (State.UPLOADING, Move.DELIVER, State.DELIVERED),
        (State.UPLOADING, Move.DEFER, State.WAITING),
        (State.UPLOADING, Move.BURY, State.DEAD),
        (State.UPLOADING, Move.RELEASE, State.READY),
        (State.READY, Move.LOSE, State.DEAD),
        (State.UPLOADING, Move.RECLAIM, State.READY),
        (State.UPLOADING, Move.POISON, State.DEAD),
        (State.WAITING, Move.PROMOTE, State.READY),
        (State.DEAD, Move.EDIT, State.DEAD),
        (State.DEAD, Move.REPLAY, State.READY),
        (State.READY, Move.SET_ASIDE, State.DEAD),
        (State.WAITING, Move.SET_ASIDE, State.DEAD),
        (State.DEAD, Move.DISCARD, State.DISCARDED),
        (State.DISCARDED, Move.RESTORE, State.DEAD),
        (State.DELIVERED, Move.REVISE, State.READY),
        (State.DELIVERED, Move.CONFIRM, State.DELIVERED),
        (State.DELIVERED, Move.RESEND, State.READY),
        (State.DEAD, Move.EXPIRE, State.EXPIRED),
        (State.DISCARDED, Move.EXPIRE, State.EXPIRED),
        (State.READY, Move.REPLACE, State.READY),
        (State.WAITING, Move.REPLACE, State.WAITING),
        (State.DEAD, Move.REPLACE, State.READY),
        (State.DISCARDED, Move.REPLACE, State.DISCARDED),
    ],
)
def test_each_move_leads_where_it_says(state: str, move: Move, target: State) -> None:
    assert after(state, move) is target


def test_these_and_erasing_are_all_the_moves_there_are() -> None:
    pairs = [(state, move) for move in Move for state in STARTS if after(state, move)]

    assert len(pairs) == 26 + len(set(State) - GONE)


@for_each("state", sorted(set(State) - GONE))
def test_any_report_can_be_erased(state: State) -> None:
    assert after(state, Move.ERASE) is State.ERASED


@for_each("state", sorted(GONE))
@for_each("move", list(Move))
def test_nothing_comes_back_from_being_erased_or_expired(move: Move, state: State) -> None:
    assert after(state, move) is None


def test_a_delivered_report_is_uploaded_again_only_when_it_is_revised_or_sent_again_unconfirmed() -> None:
    moves = [move for move in Move if after(State.DELIVERED, move)]
    assert moves == [Move.REVISE, Move.CONFIRM, Move.RESEND, Move.ERASE]
    assert [move for move in moves if after(State.DELIVERED, move) is State.READY] == [Move.REVISE, Move.RESEND]


def test_only_a_claim_begins_an_upload() -> None:
    assert [move for move in Move if State.UPLOADING in LEGAL_MOVES[move].values()] == [Move.CLAIM]


def test_every_state_can_be_reached_from_a_call_that_was_never_seen() -> None:
    reached: set[str] = {UNKNOWN}
    while more := {target for move in Move for state in reached if (target := after(state, move))} - reached:
        reached |= more

    assert reached == set(STARTS)


def test_every_state_but_erased_and_expired_leads_on_to_ready_or_is_delivered_for_good() -> None:
    leads_to_ready = {State.READY}
    while (
        more := {state for move in Move for state, target in LEGAL_MOVES[move].items() if target in leads_to_ready}
        - leads_to_ready
        - {UNKNOWN}
    ):
        leads_to_ready |= {State(state) for state in more}

    assert leads_to_ready == set(State) - GONE


def test_a_move_that_is_not_legal_leads_nowhere() -> None:
    assert after(State.DELIVERED, Move.CLAIM) is None
    assert after("no such state", Move.CLAIM) is None


def test_the_table_cannot_be_changed_at_run_time() -> None:
    with pytest.raises(TypeError):
        LEGAL_MOVES[Move.CLAIM] = {}  # type: ignore[index] # that is the point


@for_each("word", [*Move, *sorted(set(State))])
def test_the_drawing_shows_every_move_and_state(word: str) -> None:
    assert re.search(rf"\b{word}\b", lifecycle.__doc__ or "")
