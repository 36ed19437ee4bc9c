"""What an alert's message says of its end."""

from roark_ledger.records.alerts import AlertKind, Message
from roark_worker.alerts.post import body

MESSAGE = Message("Something is.", "It is so.", "roark-ingest status")


def test_what_is_mended_has_recovered() -> None:
    assert body(AlertKind.LANE_HELD, "recovered", MESSAGE)["text"].startswith("RECOVERED roark-ingest lane_held")


def test_audio_that_was_lost_does_not_recover() -> None:
    assert body(AlertKind.AUDIO_ENDING, "recovered", MESSAGE)["text"].startswith("OVER roark-ingest audio_ending")
