"""Odd but valid reports: what a receiver must take although few reports are like it.

- `unicode`: turns in many scripts, with joined emoji and separators that are no newline.
- `no-recording`: recording switched off, consent declined, or not ready: no recording, presigned or log URL.
- `unknown-fields`: fields that no document knows yet, at three depths.
- `no-call-id`: a report whose `call` has no `id`.
- `seed-shape`: exactly the keys of the example in Roark's documentation, and far smaller than Vapi's own.
"""

from typing import Any

from roark_samples.call import make_call
from roark_samples.dice import Dice
from roark_samples.fleet import Fleet
from roark_samples.report import write_report

ODDITIES = ("unicode", "no-recording", "unknown-fields", "no-call-id", "seed-shape")


def odd_report(dice: Dice, fleet: Fleet, number: int, oddity: str) -> dict[str, Any]:
    """The report of the fleet's call of that number, odd in one of the ways of ODDITIES."""
    if oddity == "unicode":
        return _in_many_scripts(dice, fleet, number)
    report = write_report(dice, make_call(dice, fleet, number, seconds=dice.uniform(10, 120)))
    match oddity:
        case "no-recording":
            _take_recordings_away(report)
        case "unknown-fields":
            _add_unknown_fields(dice, report)
        case "no-call-id":
            del report["call"]["id"]
        case "seed-shape":
            return _documented_example(dice)
    return report


def _in_many_scripts(dice: Dice, fleet: Fleet, number: int) -> dict[str, Any]:
    call = make_call(dice, fleet, number, seconds=dice.uniform(40, 200), foreign=0.35)
    report = write_report(dice, call)
    report["customer"] = {"number": dice.phone_number(), "name": "Zoë 测试 🙂"}
    return report


def _take_recordings_away(report: dict[str, Any]) -> None:
    artifact = report["artifact"]
    for key in list(artifact):
        if "ecording" in key or key.startswith("presigned") or key == "logUrl":
            del artifact[key]
    del report["recordingUrl"], report["stereoRecordingUrl"]
    report["compliance"] = {"recordingConsent": {"type": "verbal"}}


def _add_unknown_fields(dice: Dice, report: dict[str, Any]) -> None:
    report["futureField"] = {"nested": [1, 2.5, None, True, {"x": "y"}]}
    report["call"]["x-experimental"] = "v"
    report["artifact"]["sentimentTimeline"] = [dice.random() for _ in range(50)]


def _documented_example(dice: Dice) -> dict[str, Any]:
    return {
        "call": {
            "monitor": {"listenUrl": "https://example.com/listen"},
            "id": dice.uuid4(),
            "type": "inboundPhoneCall",
        },
        "type": "end-of-call-report",
        "status": "completed",
        "assistant": {"name": "Agent Example"},
        "customer": {"number": dice.phone_number()},
        "phoneNumber": {"number": dice.phone_number()},
        "artifact": {
            "recordingUrl": "https://example.com/recording.mp3",
            "stereoRecordingUrl": "https://example.com/stereo-recording.mp3",
            "messages": [
                {"role": "system", "content": "System message"},
                {"role": "bot", "content": "Hello"},
                {"role": "user", "content": "Hello"},
            ],
        },
        "startedAt": "2026-11-02T09:13:32+08:00",
        "endedAt": "2026-11-02T09:23:32+08:00",
        "endedReason": "customer-ended-call",
    }
