"""The one table of reasons for which an attempt, or a report, fails. Pure.

A row says everything about its codes: what an answer with it is judged as, on whose side the cause is, what it means
for breaker and level, by which labels it is counted, and the plain words with the command to type next. Verdict,
settlement, metrics, `explain`, groups, alerts and Flower read it, so the class of a status is changed by moving its
code from one row to another, and nowhere else.

A code is a word (`timeout`, `poison`), `http_STATUS`, or `http_STATUS_not_roark` where what answered was not Roark;
`xx` in a row stands for every status of a class that no other row names.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from roark_ledger.moves.delivery import Signal


class Side(StrEnum):
    """Where the cause is."""

    REPORT = "this report"
    SETTINGS = "our settings"
    PIPELINE = "this pipeline"
    ROARK = "Roark"
    NETWORK = "the network"
    VAPI = "Vapi, or whoever sent it"
    PERSON = "a person"


class Replay(StrEnum):
    """Whether a replay helps; `condition` says after what, or until when not."""

    HELPS = "yes"
    AFTER_MENDING = "after"
    USELESS = "no"
    NEEDLESS = "not needed"


class Judged(StrEnum):
    """What an attempt that failed is judged as, and what follows.

    PASSING: tried again by schedule. BUSY: the same, a few times only. REFUSED: this report is a dead letter. OURS:
    Roark would answer every report like this. UNTRIED: no attempt failed, the report ended for another reason.
    """

    PASSING = "passing"
    BUSY = "busy"
    REFUSED = "refused"
    OURS = "our-fault"
    UNTRIED = "untried"


_FAULTS = {
    Side.REPORT: "report",
    Side.ROARK: "roark",
    Side.NETWORK: "connection",
    Side.SETTINGS: "us",
    Side.PIPELINE: "us",
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One row. Texts may name {status} and {call}; for `condition` and `command` see `explain.Explanation`."""

    codes: tuple[str, ...]
    judged: Judged
    side: Side
    what: str
    replay: Replay
    condition: str
    todo: str
    command: str
    signal: Signal = Signal.NONE

    @property
    def fault(self) -> str:
        """Whose fault it is, as the metric's label says it."""
        return _FAULTS[self.side]

    @property
    def to_do(self) -> str:
        """What to do about a report that died of it: about the cause (`todo`), then about the report."""
        again = f"Replay once {self.condition}." if self.replay is Replay.HELPS and self.command == _REPLAY else ""
        return " ".join(filter(None, (self.todo, again)))

    @property
    def named(self) -> str:
        """Its codes as people are shown them."""
        return ", ".join(self.codes)


_SHOW, _REPLAY = "roark-ingest dlq show {call}", "roark-ingest dlq replay {call}"
_EDIT = "roark-ingest dlq edit {call}"
_DOCTOR, _STATUS = "roark-ingest doctor", "roark-ingest status"
_ADDRESS = "Check ROARK_BASE_URL and ROARK_INGEST_UPLOAD_PATH."
_UNTIL_MENDED = (
    "the report is fixed (`dlq edit`), Roark accepts such reports, or a newer report of the call replaces it"
)

REASONS: tuple[Reason, ...] = (
    # This report.
    Reason(
        ("http_400", "http_422"),
        Judged.REFUSED,
        Side.REPORT,
        "Roark refused the report as invalid ({status}).",
        Replay.USELESS,
        _UNTIL_MENDED,
        "Read Roark's answer and fix the field. A newer report of the call replaces this one by itself. If it can't "
        "be fixed, discard it.",
        _SHOW,
    ),
    Reason(
        ("http_413",),
        Judged.REFUSED,
        Side.REPORT,
        "Roark refused the report because it is too large (413).",
        Replay.USELESS,
        "Roark allows larger reports, or the report is made smaller (`dlq edit`)",
        "Ask Roark for a higher limit, or remove what makes the report large.",
        _EDIT,
    ),
    Reason(
        ("http_4xx",),
        Judged.REFUSED,
        Side.REPORT,
        "Roark refused the report ({status}).",
        Replay.USELESS,
        _UNTIL_MENDED,
        "Read Roark's answer. A newer report of the call replaces this one automatically.",
        _SHOW,
    ),
    # Roark, for the moment.
    Reason(
        ("http_409",),
        Judged.BUSY,
        Side.ROARK,
        "Roark kept answering that it is busy with another upload of this call (409).",
        Replay.HELPS,
        "Roark is done with the other upload (a few minutes are enough)",
        "Roark does not import the same call twice.",
        _REPLAY,
    ),
    Reason(
        ("http_425",),
        Judged.PASSING,
        Side.ROARK,
        "Roark accepts no more uploads right now ({status}).",
        Replay.HELPS,
        "Roark accepts uploads again",
        "",
        _REPLAY,
    ),
    Reason(
        # Overload and no fault: Roark works, and says how fast.
        ("http_429",),
        Judged.PASSING,
        Side.ROARK,
        "Roark accepts no more uploads right now ({status}).",
        Replay.HELPS,
        "Roark accepts uploads again",
        "",
        _REPLAY,
        Signal.OVERLOAD,
    ),
    Reason(
        ("http_408",),
        Judged.PASSING,
        Side.ROARK,
        "Roark failed ({status}).",
        Replay.HELPS,
        "Roark works again",
        "",
        _REPLAY,
    ),
    Reason(
        ("http_503", "http_504"),
        Judged.PASSING,
        Side.ROARK,
        "Roark failed ({status}).",
        Replay.HELPS,
        "Roark works again",
        "",
        _REPLAY,
        Signal.BOTH,
    ),
    Reason(
        ("http_500", "http_502", "http_5xx"),
        Judged.PASSING,
        Side.ROARK,
        "Roark failed ({status}).",
        Replay.HELPS,
        "Roark works again",
        "",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("http_2xx_error",),
        Judged.PASSING,
        Side.ROARK,
        "Roark answered {status}, but the answer reports an error.",
        Replay.HELPS,
        "Roark works again",
        "Read Roark's answer.",
        _REPLAY,
        Signal.FAULT,
    ),
    # True for every report: the token, the account, the address, what is on the way.
    Reason(
        ("http_401",),
        Judged.OURS,
        Side.SETTINGS,
        "Roark rejected our token (401).",
        Replay.AFTER_MENDING,
        "the token is fixed",
        "Set ROARK_API_BEARER_TOKEN to a valid token and restart the workers (a token file is reloaded automatically).",
        _DOCTOR,
    ),
    Reason(
        ("http_402",),
        Judged.OURS,
        Side.SETTINGS,
        "The Roark account has no credits left (402).",
        Replay.AFTER_MENDING,
        "the account has credits again",
        "Add credits to the account at Roark.",
        _STATUS,
    ),
    Reason(
        ("http_403",),
        Judged.OURS,
        Side.SETTINGS,
        "Our token has no permission to upload calls (403).",
        Replay.AFTER_MENDING,
        "the token may upload",
        "Grant the token the upload permission at Roark, or check ROARK_PROJECT_ID.",
        _DOCTOR,
    ),
    Reason(
        ("http_404", "http_405", "http_410"),
        Judged.OURS,
        Side.SETTINGS,
        "Uploads don't work at this URL ({status}): it is wrong, or Roark moved or removed it.",
        Replay.AFTER_MENDING,
        "the URL is fixed, or another way in is used",
        f"{_ADDRESS} If both are right and Roark says that POST /v1/vapi/call is gone, switch to its other way in: "
        "`roark-ingest route call` shows what that changes and asks you to confirm it.",
        _DOCTOR,
    ),
    Reason(
        ("http_407",),
        Judged.OURS,
        Side.SETTINGS,
        "A proxy on the way to Roark demands a login (407).",
        Replay.AFTER_MENDING,
        "the proxy lets us through",
        "Put the proxy's user and password into HTTPS_PROXY, or Roark's host into NO_PROXY, and restart the workers.",
        _DOCTOR,
    ),
    Reason(
        ("http_415",),
        Judged.OURS,
        Side.SETTINGS,
        "Roark, or something in front of it, does not accept JSON at this URL (415).",
        Replay.AFTER_MENDING,
        "the URL is fixed",
        _ADDRESS,
        _DOCTOR,
    ),
    Reason(
        ("http_3xx",),
        Judged.OURS,
        Side.SETTINGS,
        "The URL redirects, or gives another answer that uploads can't follow ({status}).",
        Replay.AFTER_MENDING,
        "the URL is fixed",
        "Set ROARK_BASE_URL to the final URL (https, no redirect).",
        _DOCTOR,
        Signal.FAULT,
    ),
    Reason(
        ("http_4xx_not_roark",),
        Judged.OURS,
        Side.SETTINGS,
        "Something in front of Roark answered instead ({status}): a proxy, a firewall, or another server.",
        Replay.AFTER_MENDING,
        "Roark itself answers",
        "Check ROARK_BASE_URL (https, the right host and port), ROARK_INGEST_UPLOAD_PATH and the proxy on the way.",
        _DOCTOR,
    ),
    Reason(
        ("not_roark",),
        Judged.PASSING,
        Side.SETTINGS,
        "Something other than Roark answered: success, but not JSON, such as a proxy's web page.",
        Replay.AFTER_MENDING,
        "Roark itself answers",
        "Check ROARK_BASE_URL and the proxy on the way.",
        _DOCTOR,
        Signal.FAULT,
    ),
    # No answer came.
    Reason(
        ("timeout",),
        Judged.PASSING,
        Side.NETWORK,
        "Roark did not answer in time.",
        Replay.HELPS,
        "uploads succeed again",
        "If this continues, ask Roark, check the network, or raise ROARK_INGEST_UPLOAD_SECONDS.",
        _REPLAY,
        Signal.BOTH,
    ),
    Reason(
        ("connect_timeout",),
        Judged.PASSING,
        Side.NETWORK,
        "No connection to Roark came about in time: a name that does not resolve, or packets that get lost.",
        Replay.HELPS,
        "Roark can be reached",
        "Check host and port in ROARK_BASE_URL, name resolution, firewall and proxy.",
        _REPLAY,
        Signal.BOTH,
    ),
    Reason(
        ("connect_tls",),
        Judged.PASSING,
        Side.SETTINGS,
        "The TLS certificate at ROARK_BASE_URL is not trusted, or the server there does not speak TLS.",
        Replay.HELPS,
        "the connection is trusted",
        "Check ROARK_BASE_URL (the certificate's host name, an https port), any proxy that intercepts TLS, this "
        "machine's clock and its CA certificates.",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("connect_dns",),
        Judged.PASSING,
        Side.SETTINGS,
        "The host name in ROARK_BASE_URL cannot be resolved.",
        Replay.HELPS,
        "the name can be resolved",
        "Check the host name in ROARK_BASE_URL, and DNS on the workers' machines.",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("connect_proxy",),
        Judged.PASSING,
        Side.SETTINGS,
        "The proxy on the way to Roark refused the connection.",
        Replay.HELPS,
        "the proxy lets us through",
        "Check HTTPS_PROXY with its user and password, or put Roark's host into NO_PROXY, and restart the workers.",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("connect_refused",),
        Judged.PASSING,
        Side.NETWORK,
        "Connection refused: nothing listens at ROARK_BASE_URL.",
        Replay.HELPS,
        "Roark is reachable",
        "Check the host and port in ROARK_BASE_URL, the firewall and the proxy.",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("connect",),
        Judged.PASSING,
        Side.NETWORK,
        "Roark is unreachable.",
        Replay.HELPS,
        "Roark is reachable",
        "Check ROARK_BASE_URL, DNS, the firewall and the proxy.",
        _REPLAY,
        Signal.FAULT,
    ),
    Reason(
        ("network", "transport"),
        Judged.PASSING,
        Side.NETWORK,
        "The connection to Roark broke before an answer came.",
        Replay.HELPS,
        "uploads succeed again",
        "Check the proxy and the firewall. If they are fine, ask Roark.",
        _REPLAY,
        Signal.FAULT,
    ),
    # What a report comes to beside its attempts.
    Reason(
        ("unconfirmed",),
        Judged.UNTRIED,
        Side.ROARK,
        "Roark answered with success but did not name the call, so it may not have the report.",
        Replay.HELPS,
        "you know that Roark does not have the call",
        "Look for the call at Roark. If it is there, confirm it. If not, resend it with `dlq replay`.",
        "roark-ingest dlq confirm {call}",
    ),
    Reason(
        ("too_large_here",),
        Judged.REFUSED,
        Side.PIPELINE,
        "The report needs more memory than a worker process may use, so it was not uploaded.",
        Replay.AFTER_MENDING,
        "the workers have enough memory",
        "Give the workers more memory, or lower ROARK_INGEST_PROCESSES. Then replay it.",
        _REPLAY,
        Signal.UNSENT,
    ),
    Reason(
        ("route_needs_recording",),
        Judged.REFUSED,
        Side.REPORT,
        "The report has no recording, and Roark's way in POST /v1/call does not take calls without one.",
        Replay.USELESS,
        "the report has a recording, or Roark's other way in works (`roark-ingest route vapi`)",
        "If the call was recorded, add `artifact.recordingUrl` with `dlq edit`. A newer report of the call replaces "
        "this one automatically. Calls that failed at their start have no recording: discard them.",
        _SHOW,
        Signal.UNSENT,
    ),
    Reason(
        ("route_needs_start", "route_needs_json"),
        Judged.REFUSED,
        Side.REPORT,
        "The report lacks what Roark's way in POST /v1/call wants: when the call began, in JSON that can be mapped.",
        Replay.USELESS,
        "the report is complete, or Roark's other way in works (`roark-ingest route vapi`)",
        "Add `startedAt` with `dlq edit`, or queue a newer report of the call; it replaces this one.",
        _SHOW,
        Signal.UNSENT,
    ),
    Reason(
        ("damaged",),
        Judged.REFUSED,
        Side.PIPELINE,
        "The stored report could not be read: it is damaged, or a newer version wrote it.",
        Replay.AFTER_MENDING,
        "all workers run the newest version again (if one was rolled back)",
        "Try `dlq show --payload`. If this version can read it, replay it; don't discard it. If not, queue a newer "
        "report of the call with `enqueue`; it replaces this one.",
        _SHOW,
        Signal.UNSENT,
    ),
    Reason(
        ("newer_version",),
        Judged.PASSING,
        Side.PIPELINE,
        "A newer version wrote this report and this version can't read it. It waits; no attempts are counted.",
        Replay.AFTER_MENDING,
        "a worker of the newer version is running",
        "Start a worker of the newer version to deliver it. Nothing is lost until then.",
        _STATUS,
        Signal.UNSENT,
    ),
    Reason(
        ("waits_for_audio",),
        Judged.PASSING,
        Side.PIPELINE,
        "The report's audio links have expired. It waits for new ones from Vapi; no attempts are counted.",
        Replay.USELESS,
        "it has new links, which takes until other reports have theirs (Vapi is asked twice a second)",
        "Wait. To upload reports with expired links, restart the workers without VAPI_API_KEY.",
        _STATUS,
        Signal.UNSENT,
    ),
    Reason(
        ("payload_lost",),
        Judged.UNTRIED,
        Side.PIPELINE,
        "The stored report is gone.",
        Replay.USELESS,
        "a newer report of the call replaces it",
        "Queue a newer report of the call with `enqueue`; it replaces this one. Or discard it.",
        _SHOW,
    ),
    Reason(
        ("exhausted",),
        Judged.UNTRIED,
        Side.ROARK,
        "Every planned attempt failed.",
        Replay.HELPS,
        "uploads succeed again",
        "",
        _REPLAY,
    ),
    Reason(
        ("poison",),
        Judged.UNTRIED,
        Side.PIPELINE,
        "Several workers in a row died, or lost Redis, while uploading this report.",
        Replay.AFTER_MENDING,
        "you know why the workers died",
        "Check the workers' logs (out of memory? killed?). Then replay this report on its own.",
        _REPLAY,
    ),
    Reason(
        ("set_aside",),
        Judged.UNTRIED,
        Side.PERSON,
        "A person set the report aside.",
        Replay.HELPS,
        "the reason for setting it aside no longer applies",
        "If it is not needed, discard it.",
        _REPLAY,
    ),
)

OTHER = Reason(
    ("other",),
    Judged.PASSING,
    Side.PIPELINE,
    "This version does not know this reason.",
    Replay.AFTER_MENDING,
    "someone has looked into it",
    "Check the attempts and the workers' logs.",
    _SHOW,
    Signal.FAULT,
)
"""What is made of a code that no row has: another version wrote it."""

_BY_CODE = {code: row for row in REASONS for code in row.codes}
FAULT_OF: dict[str, str] = {
    code: row.fault for row in (*REASONS, OTHER) if row.judged is not Judged.UNTRIED for code in row.codes
}
"""Every label by which a failed attempt is counted, and whose fault that is: a closed set."""

_HTTP = re.compile(r"http_(\d)(\d\d)(_not_roark|_error)?")


@lru_cache(2048)
def label_of(code: str) -> str:
    """Return the row's code that stands for `code`: itself, or its class; `other` for what no row has."""
    if code in _BY_CODE:
        return code
    match = _HTTP.fullmatch(code)
    if not match:
        return "other"
    # A status of 100 is as little of an answer to an upload as a redirect, one above 599 as little as a 500.
    first = min(max(int(match[1]), 2 if match[3] else 3), 5)
    found = f"http_{first}xx{match[3] or ''}"
    return found if found in _BY_CODE else "other"


def reason_of(code: str) -> Reason:
    """Return the row of `code`; OTHER where there is none."""
    return _BY_CODE.get(label_of(code), OTHER)


def status_of(code: str) -> int:
    """Return the HTTP status that a code names, 0 where it names none."""
    match = _HTTP.fullmatch(code)
    return int(match[1] + match[2]) if match else 0
