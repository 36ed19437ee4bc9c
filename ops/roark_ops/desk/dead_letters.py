"""The dead letters: find, explain, edit, discard, restore, export and import them.

    with DeadLetters.from_env(by="night shift") as dead_letters:
        for group in dead_letters.groups():
            print(group.count, dead_letters.explain(group).what)
        refused = dead_letters.freeze(Filter(reasons=("http_422",), assistants=("A7",)))
        for one in dead_letters.edit(refused, read_settings(["endedAt=2026-01-31T10:00:00Z"])):
            print(one.call_id, one.result)

`Replays` sends them again. The commands of `roark-ingest dlq` are a thin layer on top of this.

A selection is always frozen: the ids that match when it is made. What dies later, or again, is not part of it. Every
change is atomic per batch and records who made it in the report's history. Repeating one does no harm: the second time
tells you which state the call is in instead.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from types import TracebackType
from typing import BinaryIO, Self

from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import Move, State, after
from roark_ledger.moves import desk, watch
from roark_ledger.moves.operation import Operation
from roark_ledger.packing import DamagedPayload
from roark_ledger.places import UNCONFIRMED
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.logbook import Action, doer
from roark_ledger.records.record import Entry
from roark_ops.desk.acting import Actor
from roark_ops.desk.changes import changes
from roark_ops.desk.finding import Filter
from roark_ops.desk.grouping import Group, group
from roark_ops.desk.named_fields import named_in_all
from roark_ops.desk.pages import RECORDS_ONLY, Cursor, Extent, Page, Pages, batches
from roark_ops.desk.portable import Seal, export_line, is_manifest, take_in
from roark_ops.mending.editing import CannotEdit, Edit, Edited, edited, expires_ms
from roark_ops.mending.patching import Step
from roark_ops.todo import expiring
from roark_producer.producer import Producer
from roark_producer.taking import Receipt
from roark_worker.answers.explain import Explanation, explain

# 70 us of Redis each: no script is to keep it from others for 10 ms.
_MOVED_AT_ONCE = 75
_READ_AT_ONCE = 32
EVERYTHING = Filter()
_Words = Operation[list[str]]


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one call: `replayed`, `set aside`, … `confirmed`, or the state it is in instead, or `unknown`."""

    call_id: str
    result: str


@dataclass(frozen=True, slots=True)
class Exported:
    """How many dead letters were written, how many were left out because they were gone or unreadable, and a checksum.

    `sha256` is of the lines of letters, as the manifest and the log have it.
    """

    letters: int
    left_out: int
    sha256: str = field(default="", compare=False)


class DeadLetters:
    """The dead letters of a ledger. `by` is your name for the log, beside the user of Redis.

    `wake` gets the number of reports made ready.

    Every method may raise LedgerUnavailable. The action may then be partly done; repeat it, that does no harm.
    """

    def __init__(self, ledger: Ledger, *, by: str, wake: Callable[[int], object] = lambda _: None) -> None:
        self._ledger = ledger
        self._pages = Pages(ledger)
        self._actor = Actor(ledger, by)
        self._wake = wake

    @classmethod
    def from_env(cls, *, by: str) -> Self:
        """Connect to the ledger that the environment variables name.

        Raises ConfigurationError when a setting is wrong.
        """
        from roark_ops.access import Access

        access = Access.from_env()
        return cls(access.ledger, by=by, wake=access.wake)

    def groups(self, chosen: Filter = EVERYTHING) -> Sequence[Group]:
        """Group dead letters by cause, most frequent first, with what the members of each group have in common."""
        setups = self._ledger.run(watch.setups())
        return group(self._walk(chosen, State.DEAD, Extent(properties=True, assistants=True)), changes(setups))

    def explain(self, group: Group) -> Explanation:
        """Explain a group's cause in plain words, with what its latest letters have in the offending field."""
        examples = (group.examples or (group.example,)) if group.parameter else ()
        field, value = named_in_all(self._pages.look_at(examples), group.count)
        return explain(
            group.reason,
            call_id=group.example,
            status=group.status,
            last=group.last,
            parameter=field or group.parameter,
            value=value,
            over=group.over,
        )

    def export(
        self,
        file: BinaryIO,
        chosen: Filter = EVERYTHING,
        *,
        name: str = "",
        manifest: bool = True,
        complain: Callable[[str, str], object] = lambda call_id, why: None,
    ) -> Exported:
        """Write matching dead letters to `file`, one per line (see `portable.py`), followed by a manifest.

        Takes constant memory. `name` is the file's name in the log. `complain` gets the id of each call that is left
        out because its report is unreadable, and why.
        """
        seal, left_out = Seal(), 0
        for line in self._lines(chosen, complain):
            if line is None:
                left_out += 1
                continue
            file.write(line)
            file.write(b"\n")
            seal.add(line)
        if manifest:
            now_ms, _ = self.counted()
            facts = {"left_out": left_out, "chosen": chosen.in_words(), "exported_ms": now_ms}
            file.write(seal.manifest(**facts, version=version("roark-ingest")) + b"\n")
        who = doer(self._actor.name, file=name, chosen=chosen.in_words(), sha256=seal.sha256)
        self._ledger.run(desk.log_deed(Action.EXPORT, who=who, count=seal.letters))
        return Exported(seal.letters, left_out, seal.sha256)

    def _lines(self, chosen: Filter, complain: Callable[[str, str], object]) -> Iterator[bytes | None]:
        for letter in self._walk(chosen, State.DEAD, Extent(whole=True)):
            try:
                yield export_line(letter)
            except DamagedPayload as error:
                complain(letter.call_id, str(error))
                yield None

    def import_(self, lines: Iterable[bytes], producer: Producer) -> Iterator[Receipt]:
        """Submit the reports of exported lines through `producer`; yield a receipt for each.

        Safe to repeat: what the ledger has already is a duplicate. The manifest's line is skipped; `portable.Seal` can
        check it.
        """
        for batch in batches((line for line in lines if not is_manifest(line)), _READ_AT_ONCE):
            yield from take_in(producer, batch)

    def show(self, call_id: str) -> Entry | None:
        """Return everything known about a call, including its payload; None if it was never seen."""
        return self._ledger.run(watch.look(call_id))

    def show_all(self, call_ids: Iterable[str]) -> Iterator[Entry | None]:
        """Yield what `show` returns for each id, some at a time."""
        yield from self._pages.look_at(call_ids)

    def freeze(self, chosen: Filter = EVERYTHING, *, state: State = State.DEAD) -> Sequence[str]:
        """Return the ids of the dead letters (or discarded reports) that match right now, oldest first."""
        return [letter.call_id for letter in self.find(chosen, state=state)]

    def find(self, chosen: Filter = EVERYTHING, *, state: State = State.DEAD) -> Iterator[DeadLetter]:
        """Yield the dead letters (or discarded reports) that match right now, oldest first.

        Takes constant memory. What dies meanwhile is not included; what leaves meanwhile may or may not be, and that
        makes no other report appear twice or go missing.
        """
        return self._walk(chosen, state)

    def page(
        self,
        chosen: Filter = EVERYTHING,
        *,
        limit: int,
        behind: Cursor | None = None,
        state: State = State.DEAD,
    ) -> Page:
        """Return up to `limit` matching reports; pass a page's `following` as `behind` to get the next page.

        Pages are as stable as `find`: they show what was there when the first one was read.
        """
        return self._pages.page(chosen, [state], limit=limit, behind=behind)

    def retention_notice(self, state: State) -> str:
        """Return in words what retention is about to remove from a state; "" if nothing."""
        snapshot = self._ledger.run(watch.snapshot())
        found = (expiring(kept, snapshot.now_ms) for kept in snapshot.retention if kept.state is state)
        return next(filter(None, found), "")

    def counted(self, state: State = State.DEAD) -> tuple[int, int]:
        """Return Redis's time (Unix ms) and the number of reports in that state."""
        snapshot = self._ledger.run(watch.snapshot())
        return snapshot.now_ms, snapshot.states[state]

    def _walk(self, chosen: Filter, state: str, extent: Extent = RECORDS_ONLY) -> Iterator[DeadLetter]:
        return iter(self._pages.walk(chosen, [state], None, extent))

    def resend(self, call_ids: Iterable[str], *, reason: str = "") -> Sequence[Moved]:
        """Send unconfirmed deliveries again at once, with all their attempts back. `Replays` sends dead letters."""
        moved = self._move(desk.resend, call_ids, reason)
        if ready := sum(one.result == "replayed" for one in moved):
            self._wake(ready)
        return moved

    def edit(
        self, call_ids: Iterable[str], patch: Sequence[Step], *, reason: str = "", dry_run: bool = False
    ) -> Iterator[Edited]:
        """Edit dead letters, each completely or not at all, and yield the result for each.

        The original is kept until the edited report is delivered; `undo` brings it back. A report that somebody else
        changed meanwhile, or that is no dead letter any more, stays as it is. With `dry_run` nothing changes,
        and `edited` means that it would be. Nothing is sent again by it: that is what `Replays` does.
        """
        for batch in batches(dict.fromkeys(call_ids), _READ_AT_ONCE):
            entries = list(self.show_all(batch))
            planned = [_planned(call_id, entry, patch) for call_id, entry in zip(batch, entries, strict=True)]
            wanted = [
                (edit, entry.packed)
                for edit, entry in zip(planned, entries, strict=True)
                if isinstance(edit, Edit) and entry and not dry_run
            ]
            stored = iter(self._ledger.run_all([self._stores(edit, seen, reason) for edit, seen in wanted]))
            for one in planned:
                match one:
                    case Edited():
                        yield one
                    case Edit():
                        yield Edited(one.call_id, "edited" if dry_run else next(stored), one.changes)

    def store(self, edit: Edit, seen: bytes, *, reason: str = "") -> Edited:
        """Store an edit made elsewhere, of the packed report `seen`."""
        result = self._ledger.run(self._stores(edit, seen, reason)) if edit.changes else "unchanged"
        return Edited(edit.call_id, result, edit.changes)

    def _stores(self, edit: Edit, seen: bytes, reason: str) -> Operation[str]:
        detail = doer(self._actor.name, reason, places=" ".join(edit.places))
        return desk.edit(edit.call_id, packed=edit.packed, expires_ms=edit.expires_ms, edited_from=seen, detail=detail)

    def undo(self, call_ids: Iterable[str]) -> Sequence[Edited]:
        """Bring back the originals of edited reports.

        The result is `unedited`, `unchanged` if nobody edited the report, or what `Edited` says.
        """
        ids = list(dict.fromkeys(call_ids))
        entries = list(self.show_all(ids))
        undone = self._ledger.run_all(
            [
                desk.unedit(
                    call_id,
                    expires_ms=expires_ms(entry.original) if entry else 0,
                    seen=entry.packed if entry else b"",
                    detail=doer(self._actor.name, undo=1),
                )
                for call_id, entry in zip(ids, entries, strict=True)
            ]
        )
        return [Edited(call_id, result) for call_id, result in zip(ids, undone, strict=True)]

    def set_aside(self, call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        """Turn ready or waiting reports into dead letters; replay brings them back."""
        return self._move(desk.set_aside, call_ids, reason)

    def discard(self, call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        """Put dead letters aside; `restore` brings them back while retention keeps them (default: for ever).

        For unconfirmed deliveries this drops the report for good.
        """
        return self._move(desk.discard, call_ids, reason)

    def confirm(self, call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        """Confirm that unconfirmed calls are at Roark; their reports are dropped."""
        return self._move(desk.confirm, call_ids, reason)

    def free_route(self, call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        """Let dead letters go by any of Roark's ways in when they are replayed, because Roark does not have them."""
        return self._move(desk.free_route, call_ids, reason)

    def unconfirmed(self) -> Sequence[str]:
        """Return the unconfirmed calls, oldest first."""
        return [letter.call_id for letter in self._walk(EVERYTHING, UNCONFIRMED)]

    def restore(self, call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        """Turn discarded reports back into dead letters."""
        return self._move(desk.restore, call_ids, reason)

    def restorable_ms(self) -> int:
        """Return how long discarded reports can be restored (ms); 0: for ever."""
        snapshot = self._ledger.run(watch.snapshot())
        return next((kept.window_ms for kept in snapshot.retention if kept.state is State.DISCARDED), 0)

    def _move(self, move: Callable[..., _Words], call_ids: Iterable[str], reason: str = "") -> Sequence[Moved]:
        detail = doer(self._actor.name, reason)
        moved = []
        for batch in batches(dict.fromkeys(call_ids), _MOVED_AT_ONCE):
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


def _planned(call_id: str, entry: Entry | None, patch: Sequence[Step]) -> Edit | Edited:
    if entry is None or entry.record is None:
        return Edited(call_id, "unknown" if entry is None else State.ERASED.value)
    if after(entry.record.state, Move.EDIT) is None:
        return Edited(call_id, entry.record.state.value)
    try:
        edit = edited(call_id, entry.packed, patch)
    except CannotEdit as error:
        return Edited(call_id, "unfit", why=str(error))
    return edit if edit.changes else Edited(call_id, "unchanged")
