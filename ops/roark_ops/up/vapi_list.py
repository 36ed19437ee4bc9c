"""The calls that the pretended Vapi lists, and those of them whose reports it never sends.

    normal report    the tenth or so, and one in each hundred after it, is left out: what a comparison has to find
    any other        posted, and its call listed as well; without an id, as one in many is, it cannot be listed

A call has ended when its report is due. Of a call that was posted the list keeps little: nobody asks for the rest.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from roark_samples import Sample

FIRST_LEFT_OUT, LEFT_OUT_OF = 10, 100
_AT_ONCE = 100
_IN_THE_LIST = ("endedReason", "cost")
_WHOLE = (*_IN_THE_LIST, "analysis", "artifact", "costs", "costBreakdown", "assistant", "phoneNumber")


class VapiList:
    """What one demo's Vapi knows: `left_out` are the calls whose reports were not sent.

    `since_ms` is when the first call began, 0 where there is none.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.left_out: set[str] = set()
        self.messages_left_out = 0
        self.since_ms = 0
        self._now = now
        self._calls: dict[str, bytes] = {}

    def sent_of(self, samples: Iterable[Sample]) -> Iterator[Sample]:
        """Yield what is sent, and list the call of each report."""
        reports = 0
        for sample in samples:
            if sample.label == "other":
                yield sample
                continue
            reports += 1
            is_due = reports >= FIRST_LEFT_OUT + LEFT_OUT_OF * len(self.left_out)
            if is_due and sample.label == "normal" and sample.call_id:
                self.left_out.add(sample.call_id)
            is_left_out = sample.call_id in self.left_out
            if sample.call_id and sample.call_id not in self._calls:
                self._note(sample.call_id, sample.message, whole=is_left_out)
            if is_left_out:
                self.messages_left_out += 1
            else:
                yield sample

    async def hand_over(self, client: httpx.AsyncClient) -> None:
        """Let the sandbox list the calls."""
        calls = list(self._calls.values())
        for first in range(0, len(calls), _AT_ONCE):
            body = b"[" + b",".join(calls[first : first + _AT_ONCE]) + b"]"
            (await client.put("/_sandbox/vapi/calls", content=body)).raise_for_status()

    def _note(self, call_id: str, message: Mapping[str, Any], *, whole: bool) -> None:
        ended = self._now()
        created = ended - timedelta(seconds=message.get("durationSeconds", 0))
        created_ms = int(created.timestamp() * 1000)
        self.since_ms = min(self.since_ms or created_ms, created_ms)
        call = call_of(message, created, ended, whole=whole)
        self._calls[call_id] = json.dumps(call, ensure_ascii=False).encode("utf-8", "replace")


def call_of(message: Mapping[str, Any], created: datetime, ended: datetime, *, whole: bool) -> dict[str, Any]:
    """Return the Call object of a report, as Vapi would list it, with these times."""
    call: dict[str, Any] = {"orgId": "demo", **message["call"], "status": "ended"}
    call |= {"createdAt": created.isoformat(), "updatedAt": ended.isoformat(), "endedAt": ended.isoformat()}
    if "startedAt" in message:
        call["startedAt"] = created.isoformat()
    if not whole:
        call.pop("assistantOverrides", None)
    return call | {name: message[name] for name in (_WHOLE if whole else _IN_THE_LIST) if name in message}
