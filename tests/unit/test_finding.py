"""Which dead letters a filter means."""

import json

from histories import lines_of
from msgspec.structs import replace
from offenders import for_each

from roark_ledger.lifecycle import State
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.record import Event, Record
from roark_ops.desk.finding import Audio, Filter
from roark_ops.desk.grouping import Death

HOUR = 3_600_000
NOW = 1_760_000_000_000


def letter(note: str = "http_422", *, since_ms: int = NOW - HOUR, expires_ms: int = 0, **detail: object) -> DeadLetter:
    record = Record(State.DEAD, "print", 1, since_ms, 3, 0, 0, "fresh", False, note, expires_ms)
    told = {"status": 422, "reason": "http_422", "message": "endedAt is wrong"} | detail
    return DeadLetter(
        "call-1",
        since_ms,
        record,
        lines_of(Event(since_ms, "buried", told)),
        named="A7",
        properties=b'{"tenant":"acme","big":12345678901234567890,"odd":"\\u00fc"}',
    )


LETTER = letter(expires_ms=NOW + HOUR)
GROUP = Death.of(LETTER).group

FITTING = [
    Filter(),
    Filter(groups=(GROUP,)),
    Filter(groups=("zzz", GROUP[:3])),
    Filter(reasons=("http_422",)),
    Filter(reasons=("poison", "http_4*")),
    Filter(statuses=("422",)),
    Filter(statuses=("none", "4xx")),
    Filter(since_ms=NOW - HOUR, until_ms=NOW - HOUR),
    Filter(younger_than_ms=2 * HOUR, older_than_ms=HOUR),
    Filter(assistants=("A1", "A7")),
    Filter(properties=(("tenant", "acme"), ("big", "12345678901234567890"), ("odd", "ü"))),
    Filter(properties=(("tenant", None),)),
    Filter(attempts_least=3, attempts_most=3),
    Filter(attempts_most=4),
    Filter(audio=Audio.GOOD),
    Filter(audio_within_ms=HOUR),
    Filter(edited=False),
    Filter(text="ENDEDAT"),
    Filter(text="Ü"),
    Filter(text="call-1"),
    Filter(text="a7"),
]
MISSING = [
    Filter(groups=("zzz",)),
    Filter(reasons=("http_42", "poison")),
    Filter(statuses=("5xx", "none")),
    Filter(since_ms=NOW - HOUR + 1),
    Filter(until_ms=NOW - HOUR - 1),
    Filter(younger_than_ms=HOUR - 1),
    Filter(older_than_ms=HOUR + 1),
    Filter(assistants=("a7",)),
    Filter(properties=(("tenant", "acme"), ("campaign", None))),
    Filter(properties=(("tenant", "ACME"),)),
    Filter(attempts_least=4),
    Filter(attempts_most=2),
    Filter(audio=Audio.ENDED),
    Filter(audio=Audio.NONE),
    Filter(audio_within_ms=HOUR - 1),
    Filter(edited=True),
    Filter(text="transcript"),
]


@for_each("chosen", FITTING)
def test_it_means_a_letter_that_has_what_is_given(chosen: Filter) -> None:
    assert chosen.matches(LETTER, NOW)


@for_each("chosen", MISSING)
def test_it_means_no_letter_that_lacks_what_is_given(chosen: Filter) -> None:
    assert not chosen.matches(LETTER, NOW)


def test_what_is_given_narrows_the_choice() -> None:
    assert Filter(reasons=("http_422",), assistants=("A7",)).matches(LETTER, NOW)
    assert not Filter(reasons=("http_422",), assistants=("A8",)).matches(LETTER, NOW)


def test_a_letter_without_an_answer_has_no_status_and_one_without_links_no_audio() -> None:
    poison = letter("poison", status=0)
    assert Filter(statuses=("none",)).matches(poison, NOW)
    assert Filter(audio=Audio.NONE).matches(poison, NOW)
    assert Filter(audio=Audio.ENDED).matches(letter(expires_ms=NOW), NOW)


def test_an_edited_letter_is_found_as_such() -> None:
    edited = replace(LETTER, edited=True)
    assert Filter(edited=True).matches(edited, NOW)
    assert not Filter(edited=False).matches(edited, NOW)


@for_each("chosen", FITTING + MISSING)
def test_a_filter_can_be_written_down_and_read_again(chosen: Filter) -> None:
    assert Filter.of_document(json.loads(json.dumps(chosen.document()))) == chosen


def test_it_says_in_words_what_it_means() -> None:
    assert Filter().in_words() == "all"
    chosen = Filter(reasons=("http_422", "poison"), properties=(("tenant", "acme"), ("a", None)), attempts_least=2)
    assert chosen.in_words() == "reasons http_422 or poison, properties tenant=acme or a, attempts least 2"


def test_its_bounds_are_the_narrowest_that_were_given() -> None:
    assert Filter().bounds(NOW) == (0, 0)
    both = Filter(since_ms=NOW - HOUR, younger_than_ms=2 * HOUR, until_ms=NOW, older_than_ms=10)
    assert both.bounds(NOW) == (NOW - HOUR, NOW - 10)
