"""A stream of made-up messages as one webhook URL receives them.

1. With the probability `mix`, the next message is one of the others that Vapi sends.
2. Otherwise, with the probability `odd`, it is an odd but valid report.
3. Otherwise it is an ordinary report; with the probability `dup` a second message about its call comes with
   it: seven times in ten the report again, otherwise a bare one ahead of it.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from roark_samples.call import make_call
from roark_samples.dice import Dice
from roark_samples.duplicates import preliminary, redelivered
from roark_samples.fleet import Fleet, make_fleet
from roark_samples.messages import other_message
from roark_samples.oddities import ODDITIES, odd_report
from roark_samples.report import write_report


@dataclass(frozen=True, slots=True)
class Sample:
    """One message of the stream and what it is there for.

    The label is "normal", "dup:redelivery" (after its "normal"), "dup:preliminary" and then "dup:final",
    "odd:" and one of ODDITIES, or "other". Messages of one stream share parts, such as their assistants:
    read a message, and copy it deeply before changing it.
    """

    message: dict[str, object]
    label: str

    @property
    def call_id(self) -> str | None:
        """The id of the message's call, if it has one."""
        call = self.message.get("call")
        call_id = call.get("id") if isinstance(call, dict) else None
        return call_id if isinstance(call_id, str) else None

    def body(self, wrap: bool) -> bytes:
        """The JSON as JavaScript would write it: no spaces, UTF-8, lone surrogates escaped, no newline in it.

        Wrapped, it is the body that Vapi posts, {"message": ...}; else only the message. Numbers are as
        Python writes them (1.0, 1e-05).
        """
        value = {"message": self.message} if wrap else self.message
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace")  # only lone surrogates have no UTF-8: "\ud83d"


def sample_reports(
    count: int, seed: int = 1, odd: float = 0.03, dup: float = 0.03, mix: float = 0.0
) -> Iterator[Sample]:
    """That many reports, made one at a time as they are asked for; the same arguments give the same bytes.

    Messages labelled "other" come on top of the count. A second message about a call counts as a report and
    is never cut off, so that one more than the count may come.

    Raises ValueError at once if count is negative, odd or dup is no probability, or mix is not within 0 and 1
    (at 1 no report would ever come).
    """
    if count < 0:
        raise ValueError(f"count must be 0 or more, not {count}")
    for name, share in (("odd", odd), ("dup", dup)):
        if not 0 <= share <= 1:
            raise ValueError(f"{name} must be from 0 to 1, not {share}")
    if not 0 <= mix < 1:
        raise ValueError(f"mix must be from 0 to less than 1, not {mix}")
    return _stream(count, seed, odd, dup, mix)


def _stream(count: int, seed: int, odd: float, dup: float, mix: float) -> Iterator[Sample]:
    dice = Dice(seed)
    fleet = make_fleet(dice)
    call_number = reports = 0
    while reports < count:
        if mix and dice.random() < mix:
            yield Sample(other_message(dice, fleet.org_id), "other")
            continue
        call_number += 1
        for sample in _reports_of_a_call(dice, fleet, call_number, odd, dup):
            reports += 1
            yield sample


def _reports_of_a_call(dice: Dice, fleet: Fleet, number: int, odd: float, dup: float) -> Iterator[Sample]:
    if dice.random() < odd:
        oddity = dice.choice(ODDITIES)
        yield Sample(odd_report(dice, fleet, number, oddity), "odd:" + oddity)
        return
    report = write_report(dice, make_call(dice, fleet, number))
    if dice.random() >= dup:
        yield Sample(report, "normal")
    elif dice.random() < 0.3:
        yield Sample(preliminary(report), "dup:preliminary")
        yield Sample(report, "dup:final")
    else:
        yield Sample(report, "normal")
        yield Sample(redelivered(dice, report), "dup:redelivery")
