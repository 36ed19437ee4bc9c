"""Which deliveries are looked up at Roark, when, and which calls are there in time. Pure.

A sample is looked up: by a hash of the call's id, so that any worker would choose the same. The ledger adds what failed
before, and all that comes soon after an incident (`deliver.lua`). A call that is not visible at the first look is
looked for again, until Roark would have had a day.
"""

import zlib
from dataclasses import dataclass

_LATER = (1, 2.25, 7.5, 30, 360)
_IN_TIME = 2.5


@dataclass(frozen=True, slots=True)
class ReceiptRules:
    """`share` of deliveries are looked up, first after `first_ms`; a call is to be at Roark `call_ms` after its end."""

    share: float
    first_ms: int
    call_ms: int

    @property
    def ages_ms(self) -> tuple[int, ...]:
        """At which ages of a delivery it is looked for: after 4, 9 and 30 minutes, 2 hours and a day."""
        return tuple(round(self.first_ms * times) for times in _LATER)

    @property
    def in_time_ms(self) -> int:
        """Up to which age a delivery that becomes visible is in time: 10 minutes."""
        return round(self.first_ms * _IN_TIME)

    @property
    def first_look_ms(self) -> int:
        """When a delivery is looked up first; 0: none is."""
        return self.first_ms if self.share else 0

    def is_sampled(self, call_id: str) -> bool:
        """Whether this call belongs to the sample."""
        return zlib.crc32(call_id.encode()) < self.share * 2**32

    def is_in_time(self, ended_ms: int, at_ms: float) -> bool:
        """Whether a call that ended then (0: that is not known) and is at Roark now is there in time."""
        return ended_ms > 0 and at_ms - ended_ms <= self.call_ms
