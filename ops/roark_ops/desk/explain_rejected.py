"""Why something that came in could not be used, in plain words: fixed rules by the field and the problem. Pure.

A test reads every rejection out of the sources and wants a rule for it.
"""

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from roark_ledger.records.rejected import Rejected
from roark_worker.answers.explain import CatalogueEntry, Explanation, Replay, Side

_SHOW, _RETRY = "roark-ingest rejected show {entry}", "roark-ingest rejected retry {entry}"
_RIGHT = "the sender is fixed and sends it again"


@dataclass(frozen=True, slots=True)
class _Rule:
    """`field` and `problem` are patterns that fit the whole of a rejection's words."""

    field: str
    problem: str
    named: str
    what: str
    side: Side
    replay: Replay
    condition: str
    todo: str
    command: str

    def told(self, entry: str, field: str, problem: str = "") -> Explanation:
        found = re.fullmatch(self.problem, problem, re.DOTALL)
        at = found.groupdict().get("at") if found else None
        return Explanation(
            what=self.what.format(field=field or "FIELD", at=at or "PLACE"),
            side=self.side,
            replay=self.replay,
            todo=self.todo,
            command=self.command.format(entry=shlex.quote(entry), at=shlex.quote(at) if at else "PLACE"),
            condition=self.condition,
            field=field,
        )


_RULES = (
    _Rule(
        ".*",
        r".*; (?:.*; )?an end-of-call report (?:is|stands) at (?P<at>\S+).*",
        "a wrapper with a report in it",
        "It is a wrapper with an end-of-call report inside, at {at}.",
        Side.VAPI,
        Replay.USELESS,
        "you tell `rejected retry` where the report is",
        "Retry it with --at, and have the sender post the report itself.",
        "roark-ingest rejected retry {entry} --at {at}",
    ),
    _Rule(
        ".*",
        r".*; .*a Call object of Vapi's API, not an end-of-call report, (?:is|stands) at (?P<at>\S+).*",
        "a wrapper with a Call object in it",
        "It is a wrapper with a Call object of Vapi's API inside, as GET /call returns it, at {at}.",
        Side.VAPI,
        Replay.USELESS,
        "a report is made of it",
        "Retry it with --at: a report is made from it, unless the call's own report has arrived.",
        "roark-ingest rejected retry {entry} --at {at}",
    ),
    _Rule(
        ".*",
        r".*; .*a Call object of Vapi's API.*",
        "a Call object",
        "It is a Call object from Vapi's API (GET /call), not an end-of-call report.",
        Side.VAPI,
        Replay.USELESS,
        "a report is built from it",
        "Retry it: it is turned into a report, unless the call's own report has come.",
        _RETRY,
    ),
    _Rule(
        "type",
        r".*; it (?:does not look like a report|is no \S+ by its shape)",
        "a new message of Vapi's",
        "It is a Vapi message of a type that this version does not know, and it does not look like a report.",
        Side.VAPI,
        Replay.AFTER_MENDING,
        "a newer version knows the type",
        "Look at it. If it is not a report, remove its type from the assistant's serverMessages in Vapi.",
        _SHOW,
    ),
    _Rule(
        "type",
        r"is misspelled; .*|is not a known Vapi message type.*|is not .* (?:does: .*|report)|is none that is known .*"
        r"|is \S+; but .* type of an end-of-call report.*",
        "type: unknown",
        "Its type is not one of Vapi's, or is spelled differently.",
        Side.VAPI,
        Replay.AFTER_MENDING,
        "a newer version knows the type, or the sender is fixed",
        "Look at it. If Vapi changed the report's type, you need a newer version.",
        _SHOW,
    ),
    _Rule(
        "body",
        r"is not \S+, although its .*|is compressed, but .*|is no \S+, though .*|is packed, and .*",
        "compressed and damaged",
        "It is compressed and cannot be decompressed: it is damaged, or was truncated on the way.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Check what compresses requests between Vapi and the webhook.",
        _SHOW,
    ),
    _Rule(
        "body",
        r"(?:contains|holds) more than \d+ documents",
        "too many messages at once",
        "It contains more messages than one request may.",
        Side.VAPI,
        Replay.USELESS,
        "it is retried, message by message",
        "Retry it; it is queued message by message. Have the sender post fewer at once.",
        _RETRY,
    ),
    _Rule(
        "body",
        r"has (more than )?\d+ bytes.*",
        "body: too large",
        "It is larger than the limit.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "ROARK_INGEST_MAX_REPORT_BYTES is raised",
        "If reports may be this large, raise ROARK_INGEST_MAX_REPORT_BYTES and retry it.",
        _RETRY,
    ),
    _Rule(
        ".*",
        r"has more than \d+ members",
        "too many members",
        "One of its JSON objects has more members than any report of Vapi's.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Find out who sends this to the webhook. Reading it would take more memory than a report may.",
        _SHOW,
    ),
    _Rule(
        ".*",
        r"is not UTF-8 .*",
        "not UTF-8",
        "It is not UTF-8 text, so it is not JSON.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at it for a compressed body, another encoding, or missing bytes.",
        _SHOW,
    ),
    _Rule(
        ".*",
        r"is not valid JSON: .*|has \S+ \S+ its end .*|is not a JSON object.*|is nested too deep(?:ly)?",
        "not JSON",
        "It is not a JSON object, or was truncated on the way.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at it, and check what is between Vapi and the webhook (a proxy with a size limit?).",
        _SHOW,
    ),
    _Rule(
        "type",
        r"(is missing|is not a string).*",
        "type: missing or wrong",
        "It has no type, so it is not one of Vapi's server messages.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Find out who sends this to the webhook. Vapi's messages have a type.",
        _SHOW,
    ),
    _Rule(
        "call",
        r"is missing|is not an object",
        "call: missing or wrong",
        "The report names no call. Vapi sends such reports for chats.",
        Side.VAPI,
        Replay.USELESS,
        "Vapi sends it with a call: without a call.id, duplicates can't be detected",
        "Check whether it is a chat's report. Roark doesn't take those, so discard it.",
        _SHOW,
    ),
    _Rule(
        "call.id",
        r"is missing|is not a string|must be .*",
        "call.id: missing or wrong",
        "The report's call.id is missing or invalid.",
        Side.VAPI,
        Replay.USELESS,
        "Vapi sends it with a valid call.id: without one, duplicates can't be detected",
        "Look at it, and check whether a person or a test made it.",
        _SHOW,
    ),
    _Rule(
        "properties",
        r"are \d+; .*",
        "properties: too many",
        "It has more properties than Roark accepts.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "it has fewer properties",
        "Add fewer properties (ROARK_INGEST_PROPERTIES… and the sender's own), and retry it.",
        _RETRY,
    ),
    _Rule(
        r"properties\..*",
        r"is not a snake_case .*|must be .*|has half a surrogate .*",
        "properties: a name or value",
        "The property {field} has a name or a value that Roark does not accept.",
        Side.VAPI,
        Replay.USELESS,
        "the sender fixes the property",
        "Have the sender name it in snake_case, with a string, a number, or true or false.",
        _SHOW,
    ),
    _Rule(
        r"call\.id",
        r".*",
        "call.id: the ledger refused it",
        "The ledger refused it: the call's stored record is damaged.",
        Side.PIPELINE,
        Replay.AFTER_MENDING,
        "the call's record is repaired",
        "Repair the ledger, then retry it.",
        "roark-ingest audit --repair",
    ),
)
_UNKNOWN = _Rule(
    ".*",
    ".*",
    "(any other)",
    "It could not be used as a report.",
    Side.VAPI,
    Replay.USELESS,
    _RIGHT,
    "Look at it.",
    _SHOW,
)


def explain_rejected(field: str, problem: str, *, entry: str = "ENTRY") -> Explanation:
    """Return what a rejection means. `field` and `problem` are as it was kept, `entry` its name in the bin."""
    return _rule(field, problem).told(entry, field, problem)


def explained_together(entries: Iterable[Rejected]) -> list[tuple[int, Explanation]]:
    """Return what there is to say of entries, once for those of the same kind, with how many they are."""
    found: dict[str, tuple[int, Explanation]] = {}
    for entry in entries:
        why = explain_rejected(entry.field, entry.problem, entry=entry.digest)
        number, first = found.get(why.what, (0, why))
        found[why.what] = (number + 1, first)
    return list(found.values())


def is_known(field: str, problem: str) -> bool:
    """Say whether there is a rule for a rejection."""
    return _rule(field, problem) is not _UNKNOWN


def catalogue() -> list[CatalogueEntry]:
    """Return every explanation that there is of a rejection."""
    return [CatalogueEntry("rejected", rule.named, rule.told("ENTRY", "")) for rule in (*_RULES, _UNKNOWN)]


def _rule(field: str, problem: str) -> _Rule:
    for rule in _RULES:
        if re.fullmatch(rule.field, field) and re.fullmatch(rule.problem, problem, re.DOTALL):
            return rule
    return _UNKNOWN
