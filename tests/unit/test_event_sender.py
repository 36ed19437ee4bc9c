"""Events go out in groups and by the way: sampled above a rate, dropped and counted when nobody takes them."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import msgspec
import pytest

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Defer, Deliver, Held
from roark_worker.flower import event_sender
from roark_worker.flower.event_sender import EventSender, Sampler
from roark_worker.flower.report_events import ReportEvent

DEADLINE_SECONDS = 30


def deliveries(number: int) -> list[Deliver]:
    return [Deliver(_held(n), "", msgspec.json.encode({"attempt": 1, "status": 200})) for n in range(number)]


def burials(number: int) -> list[Bury]:
    return [Bury(_held(n), "http_400", msgspec.json.encode({"attempt": 1, "status": 400})) for n in range(number)]


def _held(number: int) -> Held:
    return Held(CallId(f"call-{number}"), LeaseToken(1))


class Broker:
    """Takes groups while it is up; `hang` makes it hold the sender up."""

    def __init__(self) -> None:
        self.groups: list[Sequence[ReportEvent]] = []
        self.is_up = True
        self.connections = 0
        self.hangs = threading.Event()
        self.go_on = threading.Event()
        self.go_on.set()

    def connect(self) -> "Broker":
        self.connections += 1
        return self

    def publish(self, events: Sequence[ReportEvent]) -> None:
        self.hangs.set()
        self.go_on.wait(DEADLINE_SECONDS)
        if not self.is_up:
            raise ConnectionError("redis://:hunter2@localhost is away")
        self.groups.append(events)

    def close(self) -> None:
        pass

    @property
    def said(self) -> list[ReportEvent]:
        """The outcomes, without what Flower is told to count them by."""
        return [event for group in self.groups for event in group if event.type != "task-received"]

    @property
    def calls(self) -> list[str]:
        return [event.fields["args"] for group in self.groups for event in group if event.type == "task-received"]


@contextmanager
def sending(broker: Broker, per_second: float = 10**6) -> Iterator[EventSender]:
    sender = EventSender(broker.connect, successes_per_second=per_second)
    sender.start()
    try:
        yield sender
    finally:
        broker.go_on.set()
        sender.stop()


def until(condition: Callable[[], object]) -> None:
    pause = threading.Event()
    for _ in range(DEADLINE_SECONDS * 100):
        if condition():
            return
        pause.wait(0.01)
    raise AssertionError("it never came")


def test_what_gathers_goes_in_groups_and_in_order() -> None:
    broker = Broker()
    with sending(broker) as sender:
        for _ in range(5):
            sender.tell(deliveries(100))
        until(lambda: sender.counted["sent"] == 500)
    assert len(broker.groups) < 10
    assert broker.calls == [f"call-{n}" for n in range(100)] * 5


def deferral(number: int, *, delay_ms: int) -> Defer:
    return Defer(_held(number), delay_ms, "http_503", msgspec.json.encode({"attempt": 1, "status": 503}))


def test_a_deferral_does_not_wait_for_a_group_that_its_next_attempt_might_overtake(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_sender, "_GATHER_SECONDS", 3600)
    broker = Broker()
    with sending(broker) as sender:
        sender.tell([deferral(1, delay_ms=60_000)])
        sender.tell([deferral(2, delay_ms=50)])
        until(lambda: sender.counted["sent"] == 2)
        sender.tell([deferral(3, delay_ms=60_000)])
        assert not sender._hurry.is_set()
    assert broker.calls == ["call-1", "call-2", "call-3"]


def test_what_was_told_last_is_sent_before_the_end() -> None:
    broker = Broker()
    with sending(broker) as sender:
        sender.tell(deliveries(3))
    assert len(broker.said) == 3


def test_a_broker_that_is_away_costs_events_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    broker = Broker()
    broker.is_up = False
    with caplog.at_level(logging.INFO), sending(broker) as sender:
        sender.tell(deliveries(10))
        until(lambda: sender.counted["dropped"] == 10)
        broker.is_up = True
        sender.tell(deliveries(4))
        until(lambda: sender.counted["sent"] == 4)
    assert broker.connections == 2
    assert [record.message for record in caplog.records] == ["events_dropped", "events_resumed"]
    assert "hunter2" not in str([vars(record) for record in caplog.records])


def test_a_broker_that_hangs_holds_nobody_up_and_what_is_too_much_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_sender, "_MOST_WAITING", 100)
    broker = Broker()
    broker.go_on.clear()
    with sending(broker) as sender:
        sender.tell(deliveries(1))
        assert broker.hangs.wait(DEADLINE_SECONDS)
        for _ in range(10):
            sender.tell(deliveries(30))
        assert sender.counted["dropped"] == 210
        broker.go_on.set()
        until(lambda: sender.counted["sent"] == 91)


def test_an_event_that_cannot_be_worded_does_not_end_the_others() -> None:
    broker = Broker()
    with sending(broker) as sender:
        sender.tell([Deliver(_held(1), "", b"no json")])
        until(lambda: sender.counted["dropped"] == 1)
        sender.tell(deliveries(2))
        until(lambda: sender.counted["sent"] == 2)


class TestSampling:
    def test_below_the_rate_everything_is_told(self) -> None:
        sampler = Sampler(100, now=lambda: 0.0)
        assert sampler.sample(deliveries(100)) == deliveries(100)

    def test_above_it_so_many_as_the_rate_allows_evenly_chosen(self) -> None:
        clock = [0.0]
        sampler = Sampler(10, now=lambda: clock[0])
        chosen = sampler.sample(deliveries(100))
        assert [one.held.call_id for one in chosen] == [f"call-{n}" for n in range(0, 100, 10)]
        assert sampler.sample(deliveries(100)) == []
        clock[0] = 0.5
        assert len(sampler.sample(deliveries(100))) == 5

    def test_what_is_left_out_is_counted_even_when_nothing_is_sent(self) -> None:
        seen: list[dict[str, int]] = []
        sender = EventSender(Broker().connect, successes_per_second=0, counts=lambda totals: seen.append(dict(totals)))
        sender.start()
        sender.tell(deliveries(7))
        until(lambda: {"sampled": 7} in seen)
        sender.stop()

    def test_problems_are_told_whatever_the_rate(self) -> None:
        broker = Broker()
        with sending(broker, per_second=0) as sender:
            sender.tell([*deliveries(50), *burials(50)])
            until(lambda: sender.counted["sent"] == 50)
        assert {event.type for event in broker.said} == {"task-failed"}
        assert sender.counted == {"sent": 50, "sampled": 50}
