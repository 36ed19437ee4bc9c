"""What the processes of a webhook know of each other's spool: see `spool_news.py`."""

from roark_producer.webhook.serving.board import Board
from roark_producer.webhook.serving.spool_news import SpoolNews


def handed_in(first: SpoolNews) -> None:
    first.handed_in(first.sealed())


def test_until_the_first_look_everything_is_spooled() -> None:
    board = Board(2, 0)
    first, second = SpoolNews(board, 1), SpoolNews(board, 2)
    assert first.something_waits
    assert second.something_waits

    handed_in(first)

    assert not first.something_waits
    assert not second.something_waits


def test_who_starts_waits_for_the_first_look_and_not_for_what_it_finds() -> None:
    board = Board(2, 0)
    first, second = SpoolNews(board, 1), SpoolNews(board, 2)
    assert first.is_unknown
    assert second.is_unknown

    # when something comes before the look, or the look is over
    second.keeping()
    assert not first.is_unknown
    second.written(1)
    second.seal()
    handed_in(first)

    # then nobody who starts later waits for it, also while something waits
    second.keeping()
    assert second.something_waits
    assert not SpoolNews(board, 2).is_unknown


def test_what_one_keeps_all_see_until_all_of_it_is_handed_in() -> None:
    board = Board(3, 0)
    first, second, third = (SpoolNews(board, number) for number in (1, 2, 3))
    handed_in(first)

    second.keeping()
    assert third.something_waits
    # when the first looks before it is written, and before it is sealed
    handed_in(first)
    second.written(1)
    handed_in(first)
    assert third.something_waits
    assert not first.all_sealed
    # then it is there only when it was sealed before that look
    sealed = first.sealed()
    second.seal()
    first.handed_in(sealed)
    assert third.something_waits
    handed_in(first)
    assert not third.something_waits


def test_one_that_dies_while_it_writes_keeps_the_others_spooling_until_its_successor_is_there() -> None:
    board = Board(2, 0)
    first, second = SpoolNews(board, 1), SpoolNews(board, 2)
    handed_in(first)
    second.keeping()

    handed_in(first)
    assert first.something_waits
    SpoolNews(board, 2)
    handed_in(first)
    assert not first.something_waits


def test_the_successor_of_the_one_that_hands_in_knows_what_waits() -> None:
    board = Board(2, 0)
    first, second = SpoolNews(board, 1), SpoolNews(board, 2)
    handed_in(first)
    first.last_few = True

    successor = SpoolNews(board, 1)
    assert not successor.something_waits
    assert not second.last_few
    first.keeping()
    assert SpoolNews(board, 1).something_waits


def test_each_is_asked_once_to_seal() -> None:
    board = Board(2, 0)
    first, second = SpoolNews(board, 1), SpoolNews(board, 2)
    assert not second.is_asked()
    first.ask()
    assert second.is_asked()
    assert not second.is_asked()
