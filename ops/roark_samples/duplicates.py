"""A second message about the same call: the same report again, or a bare one ahead of the full one."""

from datetime import timedelta
from typing import Any

from roark_samples.dice import Dice
from roark_samples.moments import MORNING
from roark_samples.recordings import presigned_urls

_KEPT_IN_PRELIMINARY = (
    "timestamp",
    "type",
    "endedReason",
    "call",
    "assistant",
    "customer",
    "phoneNumber",
)


def redelivered(dice: Dice, report: dict[str, Any]) -> dict[str, Any]:
    """The report again, all equal but a later timestamp and, as Vapi documents, fresh presigned URLs."""
    again = report | {"timestamp": report["timestamp"] + 4211}
    if "presignedUrlsExpiresAt" in report["artifact"]:
        fresh = presigned_urls(dice, report["call"]["id"], MORNING + timedelta(hours=1))
        again["artifact"] = report["artifact"] | fresh
    return again


def preliminary(report: dict[str, Any]) -> dict[str, Any]:
    """The bare report that has been seen in the wild ahead of the full one for the same call."""
    kept = {key: report[key] for key in _KEPT_IN_PRELIMINARY if key in report}
    empty_artifact = {"messages": [], "messagesOpenAIFormatted": [], "transcript": ""}
    return kept | {"analysis": {}, "artifact": empty_artifact}
