"""Edits one report: applies a patch to its payload, and takes only what comes out as a report of the same call. Pure.

    edit = edited(entry.call_id, entry.packed, patch)
    edit.packed, edit.changes

Nothing is parsed and printed again: outside the places that change every byte stays. Places may be named as Vapi's and
Roark's documents name them, `message.endedAt` or `vapiEndOfCallReportPayload.endedAt`: both are `endedAt`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from roark_ledger.errors import IngestError, InvalidReport
from roark_ledger.packing import DamagedPayload, Unpacked, pack, trace_of, unpack
from roark_ops.mending import json_text
from roark_ops.mending.json_text import Steps
from roark_ops.mending.patching import Change, PatchFailed, Step, apply, as_patch, difference
from roark_producer.vapi.report import Report, read_message

_ENVELOPES = frozenset({"message", "vapiEndOfCallReportPayload"})
_MOST_PLACES = 20
_MOST_PLACE_LENGTH = 100


class CannotEdit(IngestError):
    """A report cannot be edited like this; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited report, not yet stored. `changes` is empty where the edit changes nothing."""

    call_id: str
    changes: tuple[Change, ...]
    packed: bytes = field(repr=False)
    expires_ms: int

    @property
    def places(self) -> list[str]:
        """Where it was changed, for the history: names alone, never a value."""
        found = [json_text.pointer(change.place)[:_MOST_PLACE_LENGTH] for change in self.changes]
        more = len(found) - _MOST_PLACES
        return [*found[:_MOST_PLACES], f"and {more} more"] if more > 0 else found


def read_settings(settings: Sequence[str]) -> list[Step]:
    """Return the patch that `path=value` settings mean.

    A value that is JSON is put in as it is written, any other as a string. Raises CannotEdit.
    """
    return [_read_setting(setting) for setting in settings]


def _read_setting(setting: str) -> Step:
    path, found, value = setting.partition("=")
    if not found:
        raise CannotEdit(f"{path}: the = is missing; write path=value")
    try:
        return Step("set", json_text.path_steps(path), _as_json(value))
    except ValueError as error:
        raise CannotEdit(str(error)) from None


def _as_json(value: str) -> bytes:
    text = value.encode("utf-8", "surrogatepass")
    try:
        json_text.require_json(text, "value")
    except InvalidReport:
        return json_text.string_text(value)
    return text


@dataclass(frozen=True, slots=True)
class Edited:
    """What became of the edit of one call.

    `result` is `edited`, `unchanged` where there was nothing to change, `unfit` where the edit does not fit (`why` says
    how), `changed` where somebody else was faster, else the state that the call is in, or `unknown`.
    """

    call_id: str
    result: str
    changes: tuple[Change, ...] = ()
    why: str = ""


def edited(call_id: str, packed: bytes, patch: Sequence[Step]) -> Edit:
    """Return what becomes of a stored report when the patch is applied.

    Raises CannotEdit when the patch does not fit, when what is stored is damaged, and when what would come out is no
    report of this call.
    """
    stored = _stored(call_id, packed)
    try:
        after = apply(stored.payload, [_step_inside(stored.payload, step) for step in patch])
    except (PatchFailed, RecursionError) as error:
        raise CannotEdit(f"call {call_id}: {error}") from None
    return _checked(call_id, stored, after, trace_of(packed))


def rewritten(call_id: str, packed: bytes, shown: bytes) -> Edit:
    """Return the edit that a person made by changing the text of `for_editor`.

    Raises CannotEdit as `edited` does, and when the text is no JSON.
    """
    stored = _stored(call_id, packed)
    try:
        json_text.require_json(shown, "report")
        changes = difference(stored.payload, shown)
        after = apply(stored.payload, as_patch(changes))
    except (InvalidReport, PatchFailed, RecursionError) as error:
        raise CannotEdit(f"call {call_id}: {error}") from None
    return _checked(call_id, stored, after, trace_of(packed))


def for_editor(call_id: str, packed: bytes) -> bytes:
    """Return a stored report over several lines, for a person.

    Raises CannotEdit when what is stored is damaged.
    """
    try:
        return json_text.pretty(_stored(call_id, packed).payload)
    except RecursionError:
        raise CannotEdit(f"call {call_id}: its report is nested too deeply to show") from None


def inside(payload: bytes, place: Steps) -> Steps:
    """Return a place as the payload knows it: without the names of the envelopes that it travels in."""
    start = json_text.whole(payload).start
    while len(place) > 1 and place[0] in _ENVELOPES and json_text.child_of(payload, start, place[0]) is None:
        place = place[1:]
    return place


def changes_between(call_id: str, original: bytes, packed: bytes) -> tuple[Change, ...]:
    """Return how a stored report differs from its original. Raises CannotEdit when one of them is damaged."""
    return tuple(difference(_stored(call_id, original).payload, _stored(call_id, packed).payload))


def expires_ms(packed: bytes) -> int:
    """Return when the audio links of a stored report end, Unix ms; 0 where it names no end or cannot be read."""
    try:
        message = read_message(b'{"message":' + unpack(packed).payload + b"}")
    except (DamagedPayload, InvalidReport):
        return 0
    return message.expires_ms if isinstance(message, Report) else 0


def _stored(call_id: str, packed: bytes) -> Unpacked:
    try:
        return unpack(packed)
    except DamagedPayload as error:
        raise CannotEdit(f"call {call_id}: {error}") from None


def _step_inside(payload: bytes, step: Step) -> Step:
    return replace(step, place=inside(payload, step.place), origin=inside(payload, step.origin))


def _checked(call_id: str, stored: Unpacked, after: bytes, trace: bytes) -> Edit:
    try:
        # Wrapped, as Vapi sends it, it is taken for nothing but a message whatever its members are called.
        message = read_message(b'{"message":' + after + b"}")
    except InvalidReport as error:
        raise CannotEdit(f"call {call_id}: the result is not a report: {error}") from None
    if not isinstance(message, Report):
        raise CannotEdit(f"call {call_id}: the result is not an end-of-call report: its type was changed")
    if message.call_id != call_id:
        raise CannotEdit(f"call {call_id}: call.id cannot be edited: it identifies the call")
    changes = tuple(difference(stored.payload, message.payload))
    return Edit(call_id, changes, pack(message.payload, stored.properties, trace), message.expires_ms)
