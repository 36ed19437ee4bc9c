"""One attempt to deliver one report: the value that goes the whole way (`journey.py`), each step fills in its part."""

import time
from typing import Self

import msgspec

from roark_ledger.moves.delivery import Claimed, Held, Outcome
from roark_producer.tracing import Uploading
from roark_worker.answers.verdict import Answer, Verdict


class Attempt(msgspec.Struct, eq=False, gc=False):
    """A report in hand. Two are equal where they are the same one."""

    claimed: Claimed
    """What the gate handed out."""
    held: Held
    began: float
    """When that was (Unix time)."""
    span: Uploading | None = None
    told: bool = False
    """Whether Flower was told that it takes long."""

    room: int = 0
    """How many bytes of memory are taken for it."""
    body: bytes = b""
    """What is posted, while it is."""
    started: float = 0.0
    """When the upload began (the loop's time)."""
    answer: Answer | None = None
    """Roark's, where one came."""
    ended: float = 0.0
    """When the upload was over (Unix time), 0 before."""
    seconds: float = 0.0
    """How long it took."""
    duration_ms: int = 0
    """The same as it is kept and shown: at least a millisecond."""

    verdict: Verdict | None = None
    """What the answer means, or why there is none."""
    outcome: Outcome | None = None
    """What is to be recorded."""

    @classmethod
    def of(cls, claimed: Claimed, span: Uploading | None = None) -> Self:
        """Begin with a report that was claimed just now."""
        return cls(claimed, Held(claimed.call_id, claimed.token), time.time(), span)

    def end(self, seconds: float, at: float) -> None:
        """Say that the upload is over: how long it took, and when that was (Unix time)."""
        self.body = b""
        self.seconds, self.ended = seconds, at
        self.duration_ms = max(1, round(seconds * 1000))

    @property
    def number(self) -> int:
        """Which one of the report's attempts it is, from 1 on."""
        return self.claimed.attempts + 1

    @property
    def age_ms(self) -> int:
        """How long ago the report had been accepted when the upload was over."""
        return self.claimed.age_ms + self.duration_ms
