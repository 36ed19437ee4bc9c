"""Why something that came in could not be used, in plain words: fixed rules by the field and the problem. Pure.

A test reads every rejection out of the sources and wants a rule for it.
"""

import re
import shlex
from dataclasses import dataclass

from roark_worker.answers.explain import CatalogueEntry, Explanation, Replay, Side

_SHOW, _RETRY = "roark-ingest rejected show {entry}", "roark-ingest rejected retry {entry}"
_RIGHT = "the sender is put right and sends it again"


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
        r".*; (?:.*; )?an end-of-call report stands at (?P<at>\S+).*",
        "a wrapper with a report in it",
        "It is a wrapper, and an end-of-call report stands in it, at {at}.",
        Side.VAPI,
        Replay.USELESS,
        "the report is handed in from the place where it stands",
        "Hand it in from there; and have the sender post the report itself.",
        "roark-ingest rejected retry {entry} --at {at}",
    ),
    _Rule(
        ".*",
        r".*; .*a Call object of Vapi's API, not an end-of-call report, stands at (?P<at>\S+).*",
        "a wrapper with a Call object in it",
        "It is a wrapper, and a Call object of Vapi's API, as GET /call returns it, stands in it, at {at}.",
        Side.VAPI,
        Replay.USELESS,
        "a report is made of it",
        "Hand it in from there: a report is made of it, if the call's own one has not come.",
        "roark-ingest rejected retry {entry} --at {at}",
    ),
    _Rule(
        ".*",
        r".*; .*a Call object of Vapi's API.*",
        "a Call object",
        "It is a Call object of Vapi's API, as GET /call returns it, and no end-of-call report.",
        Side.VAPI,
        Replay.USELESS,
        "a report is made of it",
        "Hand it in again: a report is made of it, if the call's own one has not come.",
        _RETRY,
    ),
    _Rule(
        "type",
        r"is none that is known of Vapi's.*; it is no report by its shape",
        "a new message of Vapi's",
        "It is a message of Vapi's, of a type that this version does not know; by its shape it is no report.",
        Side.VAPI,
        Replay.AFTER_MENDING,
        "a newer version knows the type",
        "Look at it. If it is no report, take its type out of the assistant's serverMessages in Vapi.",
        _SHOW,
    ),
    _Rule(
        "type",
        r"is not written as Vapi does: .*|is \S+; but the type of an end-of-call report .*"
        r"|is none that is known of Vapi's.*|is not that of a report",
        "type: unknown",
        "Its type is none of Vapi's, or is written in another way.",
        Side.VAPI,
        Replay.AFTER_MENDING,
        "a newer version knows the type, or the sender is put right",
        "Look at what came in. If Vapi has given the report another type, a newer version is needed.",
        _SHOW,
    ),
    _Rule(
        "body",
        r"is no \S+, though its Content-Encoding says so.*|is packed, and damaged or cut short",
        "packed and damaged",
        "It came packed and cannot be unpacked: it is damaged, or was cut short on its way.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at what stands between Vapi and the webhook, and packs what goes through.",
        _SHOW,
    ),
    _Rule(
        "body",
        r"holds more than \d+ documents",
        "too many messages at once",
        "It holds more messages than are taken in one request.",
        Side.VAPI,
        Replay.USELESS,
        "it is handed in again, message by message",
        "Hand it in again, message by message; have the sender post fewer at once.",
        _RETRY,
    ),
    _Rule(
        "body",
        r"has (more than )?\d+ bytes.*",
        "body: too large",
        "It is larger than we take.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "ROARK_INGEST_MAX_REPORT_BYTES is raised",
        "Raise ROARK_INGEST_MAX_REPORT_BYTES if a report may be so large, and hand it in again.",
        _RETRY,
    ),
    _Rule(
        ".*",
        r"is not UTF-8 .*",
        "not UTF-8",
        "It is no text in UTF-8, so it is no JSON.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at what came in, for a packed body, another encoding, or bytes that were cut.",
        _SHOW,
    ),
    _Rule(
        ".*",
        r"is not valid JSON: .*|has something behind its end .*|is not a JSON object.*|is nested too deep",
        "not JSON",
        "It is no JSON object, or was cut short on its way.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at what came in, and at what stands between Vapi and the webhook (a proxy with a limit?).",
        _SHOW,
    ),
    _Rule(
        "type",
        r"(is missing|is not a string).*",
        "type: missing or wrong",
        "It has no type, so it is none of Vapi's server messages.",
        Side.VAPI,
        Replay.USELESS,
        _RIGHT,
        "Look at who sends this to the webhook; Vapi's messages have a type.",
        _SHOW,
    ),
    _Rule(
        "call",
        r"is missing|is not an object",
        "call: missing or wrong",
        "The report names no call. Vapi sends such ones for chats.",
        Side.VAPI,
        Replay.USELESS,
        "Vapi sends it with a call, for without call.id it cannot be told from a repeat",
        "Look whether it is a chat's report, which Roark has no place for; then discard it.",
        _SHOW,
    ),
    _Rule(
        "call.id",
        r"is missing|is not a string|must be .*",
        "call.id: missing or wrong",
        "The report's call.id is missing, or cannot be one.",
        Side.VAPI,
        Replay.USELESS,
        "Vapi sends it with a usable call.id, for without it it cannot be told from a repeat",
        "Look at what came in, and whether it was made by hand or by a test.",
        _SHOW,
    ),
    _Rule(
        "properties",
        r"are \d+; .*",
        "properties: too many",
        "It comes with more properties than Roark takes.",
        Side.SETTINGS,
        Replay.AFTER_MENDING,
        "fewer properties are added",
        "Add fewer properties (ROARK_INGEST_PROPERTIES… and the caller's own), and hand it in again.",
        _RETRY,
    ),
    _Rule(
        r"properties\..*",
        r"is not a snake_case .*|must be .*|has half a surrogate .*",
        "properties: a name or value",
        "The property {field} has a name or a value that Roark does not take.",
        Side.VAPI,
        Replay.USELESS,
        "the caller sends it with a property that Roark takes",
        "Have the caller name it in snake_case, with a string, a number, or true or false.",
        _SHOW,
    ),
    _Rule(
        r"call\.id",
        r".*",
        "call.id: the ledger refused it",
        "The ledger could not take it: what is kept of the call is damaged.",
        Side.PIPELINE,
        Replay.AFTER_MENDING,
        "the call's record is mended",
        "Have the ledger looked at, and mended where it can be, then hand it in again.",
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
    "Look at what came in.",
    _SHOW,
)


def explain_rejected(field: str, problem: str, *, entry: str = "ENTRY") -> Explanation:
    """Return what a rejection means. `field` and `problem` are as it was kept, `entry` its name in the bin."""
    return _rule(field, problem).told(entry, field, problem)


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
