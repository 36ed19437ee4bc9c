"""Puts fresh audio links into a report in the place of those that have ended, and touches no other byte. Pure.

Vapi signs links to recordings anew for each answer and lets them end after half an hour (`artifact.presigned…Url`,
`artifact.presignedUrlsExpiresAt`), so a report that is uploaded later gets those of `GET /call/{id}`.
"""

import re

from roark_ledger.errors import InvalidReport
from roark_producer.vapi.report import Report, read_message
from roark_producer.vapi.slices import members

_PREFIX = "presigned"


def links_end(payload: bytes) -> int:
    """Return when a report's audio links end (Unix ms), 0 where it has none, or is no report."""
    try:
        report = read_message(payload)
    except InvalidReport:
        return 0
    return report.expires_ms if isinstance(report, Report) else 0


def with_fresh_links(payload: bytes, call: bytes) -> bytes:
    """Return the report with the links that `call`, a Call object, has; as it is where that has none."""
    try:
        artifact = members(payload, "body").get("artifact", b"")
        fresh = _links(members(members(call, "call").get("artifact", b""), "call.artifact"))
        changed = _changed(artifact, _links(members(artifact, "artifact")), fresh)
    except InvalidReport:
        return payload
    return _spliced(payload, "artifact", artifact, changed, re.compile(re.escape(artifact)))


def _links(artifact: dict[str, bytes]) -> dict[str, bytes]:
    return {name: value for name, value in artifact.items() if name.startswith(_PREFIX) and value[:1] == b'"'}


def _changed(artifact: bytes, old: dict[str, bytes], fresh: dict[str, bytes]) -> bytes:
    for name, value in old.items():
        if name in fresh:
            member = re.compile(rb'(?<="%b")([ \t\r\n]*:[ \t\r\n]*)%b' % (name.encode(), re.escape(value)))
            artifact = _spliced(artifact, name, value, fresh[name], member)
    return artifact


def _spliced(document: bytes, name: str, old: bytes, new: bytes, pattern: re.Pattern[bytes]) -> bytes:
    """Put `new` in the place of `old`, which a match of `pattern` ends with and which is the value of member `name`."""
    # The same bytes may stand elsewhere, in a copy further inside: what came of it is looked at.
    for match in pattern.finditer(document) if new != old else ():
        found = document[: match.end() - len(old)] + new + document[match.end() :]
        if members(found, "body").get(name) == new:
            return found
    return document
