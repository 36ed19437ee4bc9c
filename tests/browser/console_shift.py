"""A shift at the console: a pipeline whose Roark has three faults that nobody has announced.

1. *systemic*: Roark refuses everything, with 401 (a token that it does not know any more);
2. *one field*: one assistant's reports have an `endedReason` that Roark refuses, with 422;
3. *inside a yes*: Roark answers 200 with an error in it.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from call_objects import call_object
from pipeline import Pipeline, Process, Sandbox, wait_until

from roark_ledger.lifecycle import State
from roark_samples import sample_reports

GOOD, FIELD, INSIDE, REFUSED = 120, 12, 6, 30


class Shift:
    """A pipeline with a console, and a Roark whose faults can be turned on and off."""

    def __init__(self, line: Pipeline, roark: Sandbox, console: Process, url: str, seed: int) -> None:
        self.line, self.roark, self.console, self.url = line, roark, console, url
        samples = list(sample_reports(GOOD + FIELD + INSIDE + REFUSED, seed=seed, odd=0, dup=0))
        # those with the odd field are all of one assistant
        by_assistant: dict[str, list[Any]] = {}
        for sample in samples:
            by_assistant.setdefault(assistant_of(json.loads(sample.body(wrap=False))), []).append(sample)
        field = max(by_assistant.values(), key=len)[:FIELD]
        assert len(field) == FIELD
        others = [sample for sample in samples if sample not in field]
        samples = [*others[:GOOD], *field, *others[GOOD:]]
        self.bodies = [sample.body(wrap=True) for sample in samples]
        self.calls = [sample.call_id or "" for sample in samples]

    def part(self, begin: int, many: int) -> tuple[list[bytes], list[str]]:
        return self.bodies[begin : begin + many], self.calls[begin : begin + many]

    def fail(self, *faults: str) -> None:
        self.roark.behave(fail=list(faults))

    def begin(self) -> None:
        """Deliver what is good, then bring about the second and the third fault, and then the first."""
        good, _ = self.part(0, GOOD)
        before = self.delivered
        self.line.submit(good)
        self.line.wait_for(State.DELIVERED, before + GOOD)
        field, _ = self.part(GOOD, FIELD)
        inside, _ = self.part(GOOD + FIELD, INSIDE)
        self.fail(*faults_of_reports(self))
        dead = self.line.count(State.DEAD)
        self.line.submit([*field, *inside])
        self.line.wait_for(State.DEAD, dead + FIELD + INSIDE)
        self.fail("401:1")
        refused, _ = self.part(GOOD + FIELD + INSIDE, REFUSED)
        self.line.submit(refused)
        wait_until(lambda: self.line.snapshot().lane.state == "held", "uploads are paused")

    def have_ended(self, *call_ids: str) -> None:
        """Have calls in Vapi's list that ended an hour ago."""
        time = (datetime.now(UTC) - timedelta(hours=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        calls = [call_object(each, createdAt=time, updatedAt=time, startedAt=time, endedAt=time) for each in call_ids]
        httpx.put(f"{self.roark.url}/_sandbox/vapi/calls", json=calls, trust_env=False).raise_for_status()

    @property
    def delivered(self) -> int:
        return self.line.count(State.DELIVERED)


def faults_of_reports(shift: Shift) -> list[str]:
    """The two faults that are about single reports."""
    _, field = shift.part(GOOD, FIELD)
    _, inside = shift.part(GOOD + FIELD, INSIDE)
    body = '{"message":"endedReason is unknown","parameter":"endedReason"}'
    return [
        f"say-422:calls={'+'.join(field)}:body={body}",
        f"200-error:calls={'+'.join(inside)}:code=validation",
    ]


def assistant_of(report: Any) -> str:
    return str((report.get("call") or {}).get("assistantId", ""))
