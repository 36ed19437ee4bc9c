"""A filter: which dead letters to list, replay, discard, export or edit. Pure.

    chosen = Filter(reasons=("http_422",), assistants=("A7",), younger_than_ms=2 * 3_600_000)
    chosen.matches(letter, now_ms)

Each criterion narrows the selection. Of several values of one criterion any will do, but a report must have all the
properties given. An empty filter matches everything.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Self

import msgspec

from roark_ledger.records.letters import DeadLetter
from roark_ops.desk.grouping import Death, properties_of

_NO_STATUS = "none"


class Audio(StrEnum):
    """What has become of a report's audio links."""

    GOOD = "good"
    ENDED = "ended"
    NONE = "none"


@dataclass(frozen=True)
class Filter:
    """Which dead letters to select. Every criterion is optional.

    groups            groups' names, or their beginnings, as `dlq groups` shows them
    reasons           reason codes; * and ? are wildcards: `http_4*`
    statuses          HTTP statuses: `422`, `4xx`, or `none` if no answer came
    since_ms, until_ms                   died between these times, inclusive; Unix ms, 0: open
    younger_than_ms, older_than_ms       died at most, or at least, this long ago; ms, 0: any age
    assistants        Vapi's assistant ids, or names if the report has no id
    properties        (name, value), or (name, None) for any value
    attempts_least, attempts_most        attempts since the report was accepted or replayed; -1: any number
    audio             whether the audio links still work
    audio_within_ms   the audio links still work, and expire within this many ms; 0: whenever
    edited            True: edited by a person; False: not edited
    text              occurs in the call id, the reason, Roark's words or the properties; case does not matter
    """

    groups: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    since_ms: int = 0
    until_ms: int = 0
    younger_than_ms: int = 0
    older_than_ms: int = 0
    assistants: tuple[str, ...] = ()
    properties: tuple[tuple[str, str | None], ...] = ()
    attempts_least: int = -1
    attempts_most: int = -1
    audio: Audio | None = None
    audio_within_ms: int = 0
    edited: bool | None = None
    text: str = ""

    def matches(self, letter: DeadLetter, now_ms: int) -> bool:
        """Return whether `letter` matches, at that time by Redis's clock.

        The letter must come with what `needs_properties` and `needs_assistant` ask for.
        """
        return bool(self.among((letter,), now_ms))

    def among(self, letters: Sequence[DeadLetter], now_ms: int) -> Sequence[DeadLetter]:
        """Return those of the letters that match; see `matches`."""
        for test in self._tests:
            letters = [letter for letter in letters if test(letter, now_ms)]
        return letters

    def bounds(self, now_ms: int) -> tuple[int, int]:
        """Return the oldest and the youngest time of death that are meant; 0 for an end that is open."""
        oldest = max(self.since_ms, now_ms - self.younger_than_ms if self.younger_than_ms else 0)
        ends = [end for end in (self.until_ms, now_ms - self.older_than_ms if self.older_than_ms else 0) if end]
        return oldest, min(ends, default=0)

    @property
    def is_everything(self) -> bool:
        """Whether all dead letters are meant."""
        return self == Filter()

    @property
    def needs_properties(self) -> bool:
        """Whether letters have to come with their properties."""
        return bool(self.properties or self.text)

    @property
    def needs_assistant(self) -> bool:
        """Whether letters have to come with their assistant."""
        return bool(self.assistants)

    def document(self) -> dict[str, object]:
        """Return what is given, as JSON knows it; `of_document` reads it."""
        given: dict[str, object] = msgspec.to_builtins(
            {name: value for name, value in self._given() if value != getattr(Filter, name)}
        )
        return given

    @classmethod
    def of_document(cls, document: dict[str, object]) -> Self:
        """Return the filter that `document` was made of.

        Raises msgspec.ValidationError when it was made of none.
        """
        return msgspec.convert(document, cls)

    def in_words(self) -> str:
        """Return what is meant, for a person: `reasons http_422, assistants A7`; "all" for everything."""
        return ", ".join(f"{name.replace('_', ' ')} {_in_words(value)}" for name, value in self.document().items()) or (
            "all"
        )

    def _given(self) -> Iterator[tuple[str, object]]:
        return ((name, getattr(self, name)) for name in self.__dataclass_fields__)

    @cached_property
    def _tests(self) -> tuple[Callable[[DeadLetter, int], bool], ...]:
        # The cheap ones first: a hundred thousand letters may have to pass.
        tests: list[tuple[bool, Callable[[DeadLetter, int], bool]]] = [
            (self.has_times, self._is_of_the_time),
            (bool(self.reasons), self._has_reason),
            (self.attempts_least >= 0 or self.attempts_most >= 0, self._has_attempts),
            (self.audio is not None or self.audio_within_ms > 0, self._has_audio),
            (self.edited is not None, lambda letter, _: letter.edited is self.edited),
            (bool(self.assistants), lambda letter, _: letter.assistant in self.assistants),
            (bool(self.statuses), self._has_status),
            (bool(self.groups), self._is_in_group),
            (bool(self.properties), self._has_properties),
            (bool(self.text), self._has_text),
        ]
        return tuple(test for is_given, test in tests if is_given)

    @property
    def has_times(self) -> bool:
        """Whether the time of death matters."""
        return bool(self.since_ms or self.until_ms or self.younger_than_ms or self.older_than_ms)

    def _is_of_the_time(self, letter: DeadLetter, now_ms: int) -> bool:
        oldest, youngest = self.bounds(now_ms)
        return oldest <= letter.since_ms and (not youngest or letter.since_ms <= youngest)

    def _has_reason(self, letter: DeadLetter, _: int) -> bool:
        return any(fnmatchcase(letter.record.note, reason) for reason in self.reasons)

    def _has_attempts(self, letter: DeadLetter, _: int) -> bool:
        tried = letter.record.attempts
        return self.attempts_least <= tried and (self.attempts_most < 0 or tried <= self.attempts_most)

    def _has_audio(self, letter: DeadLetter, now_ms: int) -> bool:
        end = letter.record.expires_ms
        if self.audio_within_ms and not now_ms < end <= now_ms + self.audio_within_ms:
            return False
        match self.audio:
            case Audio.GOOD:
                return end > now_ms
            case Audio.ENDED:
                return 0 < end <= now_ms
            case Audio.NONE:
                return end == 0
            case None:
                return True

    def _has_status(self, letter: DeadLetter, _: int) -> bool:
        status = Death.of(letter).status
        names = {str(status), f"{status // 100}xx"} if status else {_NO_STATUS}
        return not names.isdisjoint(self.statuses)

    def _is_in_group(self, letter: DeadLetter, _: int) -> bool:
        return Death.of(letter).group.startswith(self.groups)

    def _has_properties(self, letter: DeadLetter, _: int) -> bool:
        found = properties_of(letter)
        return all(name in found and wanted in {None, found[name]} for name, wanted in self.properties)

    def _has_text(self, letter: DeadLetter, _: int) -> bool:
        return self.text.casefold() in searched(letter)


def searched(letter: DeadLetter) -> str:
    """Return the text in which `text` is looked for, its case folded."""
    death = Death.of(letter)
    known = (letter.call_id, death.reason, death.last, death.message, death.parameter, letter.assistant)
    return "\n".join((*known, *properties_of(letter).values())).casefold()


def _in_words(value: object) -> str:
    if not isinstance(value, list | tuple):
        return str(value)
    pairs = (one if isinstance(one, str) else "=".join(filter(None, one)) for one in value)
    return " or ".join(pairs)
