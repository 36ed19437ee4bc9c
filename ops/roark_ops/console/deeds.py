"""What can be done to a selection: by which words, by whom, how it is undone, and by which function of the desk.

    verb = VERBS["discard"]
    for call_id, word in verb.run(stage, selection, "ada"): …

Each is the same function that the command of that name runs.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from roark_ledger.ids import as_argument
from roark_ledger.lifecycle import State
from roark_ledger.places import UNCONFIRMED
from roark_ops.console.access.roles import Role
from roark_ops.console.backstage import Backstage
from roark_ops.console.memory.selections import Selection
from roark_ops.desk.dead_letters import DeadLetters, Moved
from roark_ops.desk.pages import batches
from roark_ops.desk.rejected import RejectedBin
from roark_ops.desk.replays import Replays
from roark_producer.producer import Producer

_AT_ONCE = 250
_REJECTED = "rejected"
Outcomes = Iterator[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Verb:
    """Something to be done. `label` stands on the button, `wanted` is the word for a success.

    `states` are those of the reports that it is for. `undo` says how it is undone. `command` is the command line, its
    selection behind it.
    """

    name: str
    label: str
    noun: str
    wanted: str
    states: tuple[str, ...]
    role: Role
    undo: str
    command: str
    run: Callable[[Backstage, Selection, str], Outcomes]
    is_grave: bool = False

    @property
    def is_about_entries(self) -> bool:
        """Whether it is about entries of the rejected bin, and not about reports."""
        return self.states == (_REJECTED,)

    def typed(self, selection: Selection) -> str:
        """Return what would have to be typed for the same."""
        if selection.chosen.startswith("--"):
            return f"{self.command} {selection.chosen}"
        named = as_argument(*selection.subjects[:3])
        return f"{self.command} {named}{' …' if selection.count > 3 else ''}"


def _moving(method: str) -> Callable[[Backstage, Selection, str], Outcomes]:
    def run(stage: Backstage, selection: Selection, by: str) -> Outcomes:
        desk = DeadLetters(stage.ledger, by=by, wake=stage.access.wake)
        move: Callable[[Sequence[str], str], Sequence[Moved]] = getattr(desk, method)
        for batch in batches(selection.subjects, _AT_ONCE):
            yield from ((one.call_id, one.result) for one in move(batch, selection.reason))

    return run


def _resend(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    desk = DeadLetters(stage.ledger, by=by, wake=stage.access.wake)
    for batch in batches(selection.subjects, _AT_ONCE):
        yield from ((one.call_id, one.result) for one in desk.resend(batch, reason=selection.reason))


def _edit(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    desk = DeadLetters(stage.ledger, by=by)
    for one in desk.edit(selection.subjects, selection.plan["steps"], reason=selection.reason):
        yield one.call_id, one.result


def _undo_edit(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    desk = DeadLetters(stage.ledger, by=by)
    for batch in batches(selection.subjects, _AT_ONCE):
        yield from ((one.call_id, one.result) for one in desk.undo(batch))


def _replay(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    plan, preview = selection.plan["pace"], selection.plan["preview"]
    replays = Replays(stage.ledger, by=by)
    made = replays.create(preview, reason=selection.reason, plan=plan, delay_seconds=selection.plan["delay_seconds"])
    selection.facts = {"job": made.job.number if made.job else 0}
    left_out = dict(made.left_out)
    taken = selection.count - sum(left_out.values())
    # Which of them are in the job the ledger knows; how many, this does.
    for position, call_id in enumerate(selection.subjects):
        if position < taken:
            yield call_id, "selected"
    for word, many in left_out.items():
        yield from (("", word) for _ in range(many))


def _retry_rejected(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    with Producer.from_settings(stage.access.settings, source="retry", keeps_rejected=False) as producer:
        for one in RejectedBin(stage.ledger, by=by).retry(producer, selection.subjects):
            result = one.receipt.result if one.receipt else "unknown"
            yield one.digest, "retried" if result not in {"rejected", "unknown"} else result


def _discard_rejected(stage: Backstage, selection: Selection, by: str) -> Outcomes:
    gone = RejectedBin(stage.ledger, by=by).discard(selection.subjects)
    for position, digest in enumerate(selection.subjects):
        yield digest, "deleted" if position < gone else "unknown"


_LETTERS = (State.DEAD.value,)
VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "replay",
            "Replay",
            "dead letter",
            "selected",
            _LETTERS,
            Role.OPERATOR,
            "Cancel the job: what is not sent by then stays a dead letter. Roark never imports a call twice.",
            "roark-ingest dlq replay",
            _replay,
        ),
        Verb(
            "edit",
            "Edit",
            "dead letter",
            "edited",
            _LETTERS,
            Role.OPERATOR,
            "The original is kept until the edited report is delivered. Undo the edit to bring it back.",
            "roark-ingest dlq edit",
            _edit,
        ),
        Verb(
            "undo-edit",
            "Undo the edits of",
            "dead letter",
            "unedited",
            _LETTERS,
            Role.OPERATOR,
            "Edit the reports again.",
            "roark-ingest dlq edit --undo",
            _undo_edit,
        ),
        Verb(
            "discard",
            "Discard",
            "dead letter",
            "discarded",
            _LETTERS,
            Role.OPERATOR,
            "Report and history are kept. Restore brings the reports back.",
            "roark-ingest dlq discard",
            _moving("discard"),
        ),
        Verb(
            "restore",
            "Restore",
            "discarded report",
            "restored",
            (State.DISCARDED.value,),
            Role.OPERATOR,
            "Discard them again.",
            "roark-ingest dlq restore",
            _moving("restore"),
        ),
        Verb(
            "set-aside",
            "Set aside",
            "report",
            "set aside",
            (State.READY.value, State.WAITING.value),
            Role.OPERATOR,
            "Replay sends them after all.",
            "roark-ingest set-aside",
            _moving("set_aside"),
        ),
        Verb(
            "resend",
            "Resend",
            "unconfirmed report",
            "replayed",
            (UNCONFIRMED,),
            Role.OPERATOR,
            "Roark skips what it has (skipAlreadyImported), so resending is safe.",
            "roark-ingest dlq replay",
            _resend,
        ),
        Verb(
            "confirm",
            "Confirm",
            "unconfirmed report",
            "confirmed",
            (UNCONFIRMED,),
            Role.OPERATOR,
            "This cannot be undone: the stored reports are deleted. First see at Roark that the calls are there.",
            "roark-ingest dlq confirm",
            _moving("confirm"),
            is_grave=True,
        ),
        Verb(
            "drop",
            "Drop",
            "unconfirmed report",
            "discarded",
            (UNCONFIRMED,),
            Role.ADMIN,
            "This cannot be undone: the stored reports are deleted, and Roark may not have them.",
            "roark-ingest dlq discard",
            _moving("discard"),
            is_grave=True,
        ),
        Verb(
            "retry-rejected",
            "Retry",
            "rejected report",
            "retried",
            (_REJECTED,),
            Role.OPERATOR,
            "What still can't be used stays in the bin. What can is queued: set it aside if it should not go out.",
            "roark-ingest rejected retry",
            _retry_rejected,
        ),
        Verb(
            "delete-rejected",
            "Delete",
            "rejected report",
            "deleted",
            (_REJECTED,),
            Role.ADMIN,
            "This cannot be undone: the entries exist nowhere else.",
            "roark-ingest rejected discard",
            _discard_rejected,
            is_grave=True,
        ),
    )
}
