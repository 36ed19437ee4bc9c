"""Operations that are asked while the answer before is worked on."""

from collections.abc import Callable, Generator

import pytest
import redis
from pipeline import wait_until
from servers import running
from workbench import Workbench

from roark_ledger.errors import LedgerUnavailable
from roark_ledger.ledger import Ledger
from roark_ledger.moves import desk
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.records.letters import LetterPage
from roark_ledger.server.connection import connect


def pages() -> Generator[Operation[LetterPage], LetterPage]:
    page = yield desk.page(most=1)
    while page.more:
        page = yield desk.page(most=1, behind=page.last, youngest_ms=page.youngest_ms)


def ids(page: LetterPage) -> list[str]:
    return [letter.call_id for letter in page.letters]


@pytest.fixture
def three(bench: Workbench) -> Workbench:
    for number in range(3):
        bench.bring(f"call-{number}", "dead")
    return bench


def test_what_comes_next_may_follow_from_the_answer_before(three: Workbench) -> None:
    assert [ids(page) for page in three.ledger.run_ahead(pages())] == [["call-0"], ["call-1"], ["call-2"], []]


def test_nothing_to_ask_is_no_work(bench: Workbench) -> None:
    assert list(bench.ledger.run_ahead(desk.page(most=1) for _ in range(0))) == []


def test_whoever_stops_leaves_no_answer_behind_for_the_next_question(three: Workbench) -> None:
    answers = three.ledger.run_ahead(pages())
    next(answers)
    del answers

    assert all(three.state(f"call-{number}") == "dead" for number in range(3))


def test_scripts_that_the_server_forgot_meanwhile_are_sent_again(three: Workbench) -> None:
    found = []
    for page in three.ledger.run_ahead(pages()):
        found += ids(page)
        three.ledger.client.script_flush()

    assert found == ["call-0", "call-1", "call-2"]


@pytest.mark.parametrize("opened", [lambda home: home, lambda home: PartedLedger(home, lambda _: home)])
def test_the_next_question_is_asked_before_an_answer_is_worked_on(
    real_bench: Workbench, real_client: "redis.Redis", opened: Callable[[Ledger], Ledger]
) -> None:
    def asked() -> int:
        return int(real_client.info("commandstats")["cmdstat_evalsha"]["calls"])

    for number in range(3):
        real_bench.bring(f"call-{number}", "dead")
    ledger = opened(real_bench.ledger)
    ledger.run(desk.page(most=1))
    before = asked()

    answers = ledger.run_ahead(pages())
    for number in range(1, 4):
        next(answers)
        wanted = before + number + 1
        wait_until(lambda: asked() == wanted, "the next page is asked for")  # noqa: B023 called at once
    assert ids(next(answers)) == []
    assert asked() == before + 4


def test_a_server_that_goes_away_in_between_is_told_of_like_any_other_time() -> None:
    with running() as server, connect(server.url) as client:
        answers = Ledger(client).run_ahead(desk.page(most=1) for _ in range(3))
        next(answers)
        server.kill()

        with pytest.raises(LedgerUnavailable):
            list(answers)
