"""The dead letters' desk: look at them, send them again, put them aside, bring them back.

    with DeadLetters.from_env(by="night shift") as dead_letters:
        frozen = dead_letters.freeze()
        moved = dead_letters.replay(frozen)

"All" is always a frozen selection: the ids that were there when it was made. What dies later, or again, is
another matter and stays untouched. Every change is one atomic script per batch and names who asked for it in the
report's history; doing it twice does no harm, the second time says in which state the call is instead.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Self

import msgspec

from roark_ops.grouping import Group, group
from roark_producer import operations
from roark_producer.ledger import Ledger
from roark_producer.lifecycle import State
from roark_producer.operations import Operation
from roark_producer.records import DeadLetter, Entry

_PAGE = 500
_Words = Operation[list[str]]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one call: `replayed`, `discarded`, `restored`, or the state it is in instead, or `unknown`."""

    call_id: str
    result: str


class DeadLetters:
    """The dead letters of a ledger. `by` is who acts; `wake` is told how many reports became ready by a replay.

    Every method may raise LedgerUnavailable; what it was doing may then be done in part, and be done again.
    """

    def __init__(self, ledger: Ledger, *, by: str, wake: Callable[[int], object] = lambda _: None) -> None:
        self._ledger = ledger
        self._by = by
        self._wake = wake

    @classmethod
    def from_env(cls, *, by: str) -> Self:
        """Return the desk of the ledger that the environment names.

        Raises ConfigurationError when a setting is wrong.
        """
        from roark_ops.access import Access

        access = Access.from_env()
        return cls(access.ledger, by=by, wake=access.wake)

    def groups(self) -> Sequence[Group]:
        """Return what the dead letters died of, the most frequent first."""
        return group(self.walk())

    def show(self, call_id: str) -> Entry | None:
        """Return everything that is known of a call, payload included; None for one that was never seen."""
        return self._ledger.run(operations.look(call_id))

    def show_all(self, call_ids: Iterable[str]) -> Iterator[Entry | None]:
        """Yield what `show` returns for each id, some at a time."""
        for batch in _batches(call_ids, 32):
            yield from self._ledger.run_all([operations.look(call_id) for call_id in batch])

    def freeze(self) -> Sequence[str]:
        """Return the ids of the dead letters that are there at this moment, oldest first."""
        return [letter.call_id for letter in self.walk()]

    def walk(self, state: State = State.DEAD) -> Iterator[DeadLetter]:
        """Yield the dead letters (or the discarded) that are there at this moment, oldest first.

        Those that others take out meanwhile may be among them or not; none is left out because of that.
        """
        until_ms = self._ledger.run(operations.snapshot()).now_ms
        seen: set[str] = set()
        first, last = 0, ""
        while True:
            page = self.list(limit=_PAGE, offset=first, state=state)
            if last and (not page or page[0].call_id != last):
                # Somebody took out letters in front of here, so that others moved up unseen.
                first, last = 0, ""
                continue
            for letter in page:
                if letter.since_ms <= until_ms and letter.call_id not in seen:
                    seen.add(letter.call_id)
                    yield letter
            if len(page) < _PAGE:
                return
            first, last = first + len(page) - 1, page[-1].call_id

    def replay(self, call_ids: Iterable[str]) -> Sequence[Moved]:
        """Send dead letters again, with their tries counted anew."""
        moved = self._move(operations.replay, call_ids)
        if ready := sum(one.result == "replayed" for one in moved):
            self._wake(ready)
        return moved

    def discard(self, call_ids: Iterable[str]) -> Sequence[Moved]:
        """Put dead letters aside; `restore` brings them back."""
        return self._move(operations.discard, call_ids)

    def restore(self, call_ids: Iterable[str]) -> Sequence[Moved]:
        """Bring discarded reports back to the dead letters."""
        return self._move(operations.restore, call_ids)

    def list(self, *, limit: int = 50, offset: int = 0, state: State = State.DEAD) -> Sequence[DeadLetter]:
        """Return up to `limit` dead letters (or discarded ones) from the oldest on, after passing over `offset`."""
        return self._ledger.run(operations.dead_page(first=offset, most=limit, state=state.value))

    def _move(self, move: Callable[..., _Words], call_ids: Iterable[str]) -> Sequence[Moved]:
        detail = msgspec.json.encode({"by": self._by})
        moved = []
        for batch in _batches(dict.fromkeys(call_ids), _PAGE):
            results = self._ledger.run(move(batch, detail=detail))
            moved += [Moved(call_id, result) for call_id, result in zip(batch, results, strict=True)]
        return moved

    def close(self) -> None:
        """Close the connections."""
        self._ledger.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _batches(call_ids: Iterable[str], size: int) -> Iterator[list[str]]:
    remaining = iter(call_ids)
    while batch := list(islice(remaining, size)):
        yield batch
