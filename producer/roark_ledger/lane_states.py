"""What stands between ready reports and Roark: the one place where the lane's states are written.

     open ──Roark asks to wait, or the rate is used up──▶ throttled ──time──▶ open
     any ──a person, or Roark refuses all──▶ held ──a probe is due──▶ probing ──it is good──▶ open
     open ──too many attempts fail──▶ breaker-open ──time──▶ half-open ──its probe is good──▶ open

Which of them a lane is in is decided in Redis, by `lua/shared/_way.lua`; what is told of it has that word. The scripts
do not repeat the words: `scripts.py` renders them. `probing` is what a claim is answered with, and never a lane's own
state.
"""

from enum import StrEnum


class LaneState(StrEnum):
    """What stands between ready reports and Roark."""

    OPEN = "open"
    HELD = "held"
    PROBING = "probing"
    BREAKER_OPEN = "breaker-open"
    HALF_OPEN = "half-open"
    THROTTLED = "throttled"


LASTING = tuple(state for state in LaneState if state is not LaneState.PROBING)
"""The states that a lane can be seen in."""
FLOWING = frozenset({LaneState.OPEN, LaneState.THROTTLED})
"""Reports go out, if slowly."""
BROKEN = frozenset({LaneState.BREAKER_OPEN, LaneState.HALF_OPEN})
"""The circuit breaker lets nothing through but a probe."""
