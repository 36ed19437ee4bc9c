"""The alert that Redis takes nothing: once for each data directory, again while it lasts, and when it is over."""

from pathlib import Path

import pytest

from roark_ledger.errors import LedgerRefuses
from roark_ledger.records.alerts import Message
from roark_worker.alerts.past_redis import PastRedis

MISCONF = LedgerRefuses("Redis does not take commands: MISCONF it cannot save.", "MISCONF")


class Workers:
    """Two workers that share a data directory, a clock, and what was sent."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000.0
        self.sent: list[tuple[str, float]] = []
        self.words: list[str] = []
        self.takes = True
        self.both = [self.another(folder), self.another(folder)]
        # Each process has a name of its own for what it has in hand.
        self.both[1]._mine = folder / "ledger-away.other"

    def another(self, folder: Path) -> PastRedis:
        return PastRedis(folder, self._tell, repeat_seconds=3600, after_seconds=60, clock=lambda: self.now)

    def _tell(self, what: str, message: Message, lasted: float) -> bool:
        if self.takes:
            self.sent.append((what, lasted))
            self.words.append(message.explanation)
        return self.takes

    def fail(self, seconds: float) -> None:
        """Redis takes nothing for so long; each worker looks every five seconds."""
        for _ in range(round(seconds / 5)):
            for each in self.both:
                each.failed(MISCONF)
            self.now += 5

    def work(self) -> None:
        for each in self.both:
            each.worked()


@pytest.fixture
def workers(tmp_path: Path) -> Workers:
    return Workers(tmp_path)


def test_a_restart_of_redis_is_no_alarm(workers: Workers) -> None:
    workers.fail(55)
    workers.work()
    workers.fail(55)
    assert workers.sent == []


def test_one_of_them_tells_it_with_the_reason_and_one_that_it_is_over(workers: Workers, tmp_path: Path) -> None:
    workers.fail(300)
    assert workers.sent == [("raised", 60)]
    assert "MISCONF it cannot save. Webhooks keep" in workers.words[0]
    workers.work()
    workers.work()
    assert workers.sent[1:] == [("recovered", 300)]
    assert list(tmp_path.iterdir()) == []


def test_it_is_told_again_while_it_lasts(workers: Workers) -> None:
    workers.fail(2 * 3600 + 120)
    assert [what for what, _ in workers.sent] == ["raised"] * 3


def test_a_message_that_was_not_taken_is_sent_again(workers: Workers) -> None:
    workers.takes = False
    workers.fail(90)
    workers.takes = True
    workers.fail(30)
    assert [what for what, _ in workers.sent] == ["raised"]
    workers.takes = False
    workers.work()
    workers.takes = True
    workers.work()
    workers.work()
    assert [what for what, _ in workers.sent] == ["raised", "recovered"]


def test_who_starts_after_a_crash_tells_that_it_is_over(workers: Workers, tmp_path: Path) -> None:
    workers.fail(90)
    Workers.another(workers, tmp_path).worked()
    assert [what for what, _ in workers.sent] == ["raised", "recovered"]


def test_without_a_folder_each_tells_for_itself(tmp_path: Path) -> None:
    workers = Workers(tmp_path / "not-there")
    workers.fail(300)
    workers.work()
    workers.work()
    assert [what for what, _ in workers.sent] == ["raised", "raised", "recovered", "recovered"]
