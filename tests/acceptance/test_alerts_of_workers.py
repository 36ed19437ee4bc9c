"""Real workers alert, and whatever the alerts' webhook does, reports go on being delivered."""

from collections.abc import Iterator

import pytest
from channel import Channel
from delivering import report, reports
from pipeline import Pipeline, wait_until

from roark_ledger.lifecycle import State

pytestmark = pytest.mark.acceptance


@pytest.fixture
def channel() -> Iterator[Channel]:
    made = Channel()
    yield made
    made.close()


def test_workers_alert_once_and_deliver_while_the_webhook_hangs(channel: Channel) -> None:
    quick = {"ROARK_INGEST_ALERT_LOOK_SECONDS": "0.2", "ROARK_INGEST_ALERT_URL": channel.url}
    with Pipeline(**quick) as line:
        # given a webhook that takes no answer yet, and a report that Roark refuses
        channel.may_answer.clear()
        sandbox = line.start_sandbox("--fail", "422:1")
        line.start_supervisor(2)
        line.submit([report("call-refused")])
        wait_until(lambda: channel.requests, "a worker begins to send")

        # then deliveries do not wait for it
        sandbox.behave(fail=[])
        line.submit(reports(200))
        line.wait_for(State.DELIVERED, 200)

        # and one message arrives when it answers
        channel.may_answer.set()
        wait_until(lambda: channel.texts("dead_letters:"), "the message is taken")
        wait_until(lambda: line.snapshot().alerts[0].told_ms, "that is noted")

        (alert,) = line.snapshot().alerts
        assert (alert.active, alert.owed) == (True, "")
        assert channel.url not in "".join(process.log for process in line.processes)
