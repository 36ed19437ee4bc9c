"""The screen's words for the code's words: one table for the states of the way to Roark. Pure."""

_UPLOADS = {
    "open": "running",
    "held": "paused",
    "breaker-open": "circuit breaker open",
    "half-open": "circuit breaker half-open",
    "throttled": "throttled",
}


def uploads(state: str) -> str:
    """Return what uploads do in a state of the lane: `running`, `paused`, `circuit breaker open`, …"""
    return _UPLOADS.get(state, state)


def uploads_are(state: str) -> str:
    """Return the same as a sentence without its full stop: `Uploads are paused: circuit breaker open`."""
    words = uploads(state)
    return f"Uploads are paused: {words}" if words.startswith("circuit") else f"Uploads are {words}"
