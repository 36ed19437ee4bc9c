"""What the sandbox does not accept in a report: how it is written, and what it meets."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_sandbox.trouble.demands import broken_by, parse_demand


def breaks(spec: str, report: object) -> bool:
    return broken_by((parse_demand(spec),), msgspec.Raw(msgspec.json.encode(report))) is not None


@pytest.mark.parametrize(
    ("spec", "report", "broken"),
    [
        ("endedReason=unknown", {"endedReason": "unknown"}, True),
        ("endedReason=unknown", {"endedReason": "customer-ended-call"}, False),
        ("call.assistantId=a-7", {"call": {"assistantId": "a-7"}}, True),
        ("call.assistantId=a-7", {"assistantId": "a-7"}, False),
        ("call.assistantId=a-7", {"call": "a-7"}, False),
        ("cost=null", {"cost": None}, True),
        ("cost=null", {}, False),
        ("cost=1", {"cost": True}, False),
        ("cost=", {"cost": ""}, True),
    ],
)
def test_a_report_with_the_value_at_the_place_is_refused(spec: str, report: object, *, broken: bool) -> None:
    assert breaks(spec, report) is broken


@pytest.mark.parametrize("spec", ["", "endedReason", "=unknown", "call..id=1", ".=1"])
def test_anything_else_is_refused_and_quoted(spec: str) -> None:
    with pytest.raises(ValueError, match="is not PATH=VALUE") as refused:
        parse_demand(spec)
    assert repr(spec) in str(refused.value)


@given(name=st.from_regex("[a-z]{1,8}", fullmatch=True), value=st.text())
def test_any_text_can_be_asked_for(name: str, value: str) -> None:
    assert breaks(f"{name}={value}", {name: value})
    assert not breaks(f"{name}={value}", {name: value + "x"})
