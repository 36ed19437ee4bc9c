"""The screen's words for the code's words: one table for the states of the way to Roark. Pure."""

from roark_ledger.lane_states import LaneState

_UPLOADS: dict[str, str] = {
    LaneState.OPEN: "running",
    LaneState.HELD: "paused",
    LaneState.BREAKER_OPEN: "circuit breaker open",
    LaneState.HALF_OPEN: "circuit breaker half-open",
    LaneState.THROTTLED: "throttled",
}


def uploads(state: str) -> str:
    """Return what uploads do in a state of the lane: `running`, `paused`, `circuit breaker open`, …"""
    return _UPLOADS.get(state, state)


def uploads_are(state: str) -> str:
    """Return the same as a sentence without its full stop: `Uploads are paused: circuit breaker open`."""
    words = uploads(state)
    return f"Uploads are paused: {words}" if words.startswith("circuit") else f"Uploads are {words}"
