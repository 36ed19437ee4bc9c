"""What a replay would do, before anything is sent: how many letters, of which groups, what likely fails again. Pure.

A selection is frozen here: the ids of the letters that were there when it was made, with the times of their deaths.
What arrives later, or dies again, is another matter.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from roark_ledger.records.letters import DeadLetter
from roark_ops.desk.grouping import Death
from roark_worker.answers.explain import Explanation, Replay, explain


@dataclass(frozen=True, slots=True)
class GroupForecast:
    """Letters that died of the same thing, and what a replay is good for; `edited` of them were changed by a person."""

    name: str
    reason: str
    status: int
    message: str
    count: int
    edited: int
    explanation: Explanation

    @property
    def will_fail_again(self) -> int:
        """How many will likely fail for the same reason, by fixed rules; Roark may have changed its mind."""
        return self.count - self.edited if self.explanation.replay is Replay.USELESS else 0


@dataclass(frozen=True, slots=True)
class Preview:
    """A frozen selection and what becomes of it.

    `letters` are ids and times of death (Unix ms). `audio_ended` of them name audio links that have ended. `elsewhere`
    are calls that were asked for and are no dead letters, by the state they are in (`unknown`: never seen), `held`
    those that another job is to send, by its number.
    """

    chosen: str
    letters: tuple[tuple[str, int], ...] = field(repr=False)
    groups: tuple[GroupForecast, ...]
    audio_ended: int
    elsewhere: Mapping[str, int]
    held: Mapping[int, int]

    @property
    def will_fail_again(self) -> int:
        """How many will likely fail again for the reason that they died of."""
        return sum(group.will_fail_again for group in self.groups)

    @property
    def after_mending(self) -> int:
        """How many will likely succeed only if what their groups' explanations name has been mended."""
        return sum(group.count for group in self.groups if group.explanation.replay is Replay.AFTER_MENDING)


class Forecasting:
    """Gathers letters one by one, so that a hundred thousand of them cost little memory."""

    def __init__(self, chosen: str, now_ms: int) -> None:
        self._chosen = chosen
        self._now_ms = now_ms
        self._letters: list[tuple[str, int]] = []
        self._groups: dict[str, GroupForecast] = {}
        self._counts: Counter[str] = Counter()
        self._edited: Counter[str] = Counter()
        self._audio_ended = 0
        self._elsewhere: Counter[str] = Counter()
        self._held: Counter[int] = Counter()

    def add(self, letter: DeadLetter, held_by: int = 0) -> None:
        """Take a letter in, or note that a job has it already."""
        if held_by:
            self._held[held_by] += 1
            return
        # The record's time, which a repair of the place does not change.
        self._letters.append((letter.call_id, letter.record.since_ms))
        self._audio_ended += 0 < letter.record.expires_ms <= self._now_ms
        death = Death.of(letter)
        name = death.group
        if name not in self._groups:
            self._groups[name] = _forecast(name, death, letter)
        self._counts[name] += 1
        self._edited[name] += letter.edited

    def leave_out(self, states: Iterable[str]) -> None:
        """Note calls that were asked for and are no dead letters, by state."""
        self._elsewhere.update(states)

    def preview(self) -> Preview:
        """Return what was gathered, the largest group first."""
        return Preview(
            chosen=self._chosen,
            letters=tuple(self._letters),
            groups=tuple(sorted(map(self._counted, self._groups.values()), key=lambda group: -group.count)),
            audio_ended=self._audio_ended,
            elsewhere=dict(self._elsewhere),
            held=dict(self._held),
        )

    def _counted(self, group: GroupForecast) -> GroupForecast:
        return replace(group, count=self._counts[group.name], edited=self._edited[group.name])


def _forecast(name: str, death: Death, letter: DeadLetter) -> GroupForecast:
    folded = death.folded()
    found = explain(
        death.reason, call_id=letter.call_id, status=death.status, last=death.last, parameter=death.parameter
    )
    return GroupForecast(name, folded.reason, folded.status, folded.message, 0, 0, found)
