"""What is decided about a call before its report is written: who, when, how long, and what was said."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from roark_samples.conversation import Conversation, converse, silence
from roark_samples.dice import Dice
from roark_samples.fleet import Assistant, Fleet
from roark_samples.moments import MORNING, epoch_ms

_KINDS = {"inboundPhoneCall": 45, "outboundPhoneCall": 40, "webCall": 15}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the fleet.

    `sent` is when Vapi reports it, some seconds after its end; `foreign` is the share of its words
    that are not plain English.
    """

    call_id: str
    org_id: str
    assistant: Assistant
    kind: str
    connected: bool
    seconds: float
    created: datetime
    start: datetime
    end: datetime
    sent: datetime
    foreign: float
    talk: Conversation

    @property
    def minutes(self) -> float:
        """The length in minutes, as rounded in reports."""
        return round(self.seconds / 60, 4)


def make_call(dice: Dice, fleet: Fleet, number: int, seconds: float | None = None, foreign: float = 0.0) -> Call:
    """The fleet's call of that number, counted from 1.

    Unless `seconds` is given, one call in ten does not connect and the others last 95 s in the median, up to
    two hours. Three calls in five carry the confidence of each word.
    """
    created = MORNING + timedelta(seconds=number * 7.3 + dice.random() * 5)
    call_id = dice.uuid7(epoch_ms(created))
    assistant = dice.choice(fleet.assistants)
    connected = seconds is not None or dice.random() >= 0.10
    if seconds is None:
        seconds = dice.lognormal(95, 1.05, 3, 7200) if connected else 0.0
    word_confidence = dice.random() < 0.6
    kind = dice.weighted(_KINDS)
    start = created + timedelta(seconds=dice.uniform(3, 9))
    end = start + timedelta(seconds=seconds)
    sent = end + timedelta(seconds=dice.uniform(2, 14))
    if connected:
        talk = converse(
            dice,
            assistant,
            epoch_ms(start),
            seconds=seconds,
            word_confidence=word_confidence,
            foreign=foreign,
        )
    else:
        talk = silence(assistant, epoch_ms(start))
    return Call(
        call_id=call_id,
        org_id=fleet.org_id,
        assistant=assistant,
        kind=kind,
        connected=connected,
        seconds=seconds,
        created=created,
        start=start,
        end=end,
        sent=sent,
        foreign=foreign,
        talk=talk,
    )
