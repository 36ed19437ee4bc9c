"""Properties beside a report: where they come from, which one wins, and what is not let through."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import ConfigurationError, InvalidReport
from roark_producer.vapi.properties import MOST_PROPERTIES, PropertyRules, gather

PAYLOAD = (
    b'{"type":"end-of-call-report","cost":0.10,"big":9007199254740993,"ok":true,"none":null,'
    rb'"call":{"id":"c","metadata":{"tenant":"t-\u00e9 1","list":[1],"object":{}}}}'
)
names = st.from_regex(r"[a-z][a-z0-9_]{0,20}", fullmatch=True)
scalars = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
)


def gathered(rules: PropertyRules, **sources: Any) -> Any:
    found = gather(rules, PAYLOAD, **sources)
    return json.loads(found) if found else None


class TestWhereTheyComeFrom:
    def test_without_any_there_is_no_object_at_all(self) -> None:
        assert gather(PropertyRules(), PAYLOAD) == b""
        assert gather(PropertyRules(), PAYLOAD, {"tenant": "t"}, {}) == b""

    def test_static_ones_go_with_each_report(self) -> None:
        rules = PropertyRules({"env": "prod", "shard": 7, "share": 0.5, "live": True})

        assert gathered(rules) == {"env": "prod", "shard": 7, "share": 0.5, "live": True}

    def test_those_from_the_report_keep_its_bytes(self) -> None:
        rules = PropertyRules(from_report={"tenant": "call.metadata.tenant", "big": "big", "cost": "cost", "ok": "ok"})

        assert gather(rules, PAYLOAD) == rb'{"tenant":"t-\u00e9 1","big":9007199254740993,"cost":0.10,"ok":true}'

    @pytest.mark.parametrize(
        "path", ["none", "call", "call.metadata.list", "call.metadata.object", "absent", "call.absent.id", "cost.x", ""]
    )
    def test_what_is_no_scalar_in_the_report_is_left_out(self, path: str) -> None:
        assert gather(PropertyRules(from_report={"tenant": path}), PAYLOAD) == b""

    def test_only_the_named_query_parameters_come_along(self) -> None:
        rules = PropertyRules(from_query=("campaign", "region"))

        assert gathered(rules, query={"campaign": 'a "b"', "token": "x"}) == {"campaign": 'a "b"'}

    @given(st.dictionaries(names, scalars, min_size=1, max_size=5))
    def test_the_callers_own_arrive_with_their_values_and_types(self, given_ones: dict[str, Any]) -> None:
        found = gathered(PropertyRules(), given=given_ones)

        assert found == given_ones
        assert [type(value) for value in found.values()] == [type(value) for value in given_ones.values()]


class TestPrecedence:
    @pytest.mark.parametrize(
        ("rules", "given_ones", "winner"),
        [
            (PropertyRules({"tenant": "static"}), {}, "static"),
            (PropertyRules({"tenant": "static"}, from_report={"tenant": "call.id"}), {}, "c"),
            (PropertyRules({"tenant": "static"}, ("tenant",), {"tenant": "call.id"}), {}, "query"),
            (PropertyRules({"tenant": "static"}, ("tenant",), {"tenant": "call.id"}), {"tenant": "own"}, "own"),
        ],
        ids=["static", "report", "query", "own"],
    )
    def test_the_later_source_wins(self, rules: PropertyRules, given_ones: dict[str, Any], winner: str) -> None:
        assert gathered(rules, query={"tenant": "query"}, given=given_ones) == {"tenant": winner}

    def test_a_source_that_has_nothing_leaves_the_earlier_one(self) -> None:
        rules = PropertyRules({"tenant": "static"}, ("tenant",), {"tenant": "call.absent"})

        assert gathered(rules, query={}) == {"tenant": "static"}


class TestLimits:
    def test_a_hundred_are_taken(self) -> None:
        own = {f"p{number}": number for number in range(MOST_PROPERTIES)}

        assert gathered(PropertyRules(), given=own) == own

    def test_more_are_refused(self) -> None:
        own = {f"p{number}": number for number in range(MOST_PROPERTIES)}

        with pytest.raises(InvalidReport, match=r"^properties: are 101; Roark takes at most 100$"):
            gather(PropertyRules({"static": 1}), PAYLOAD, given=own)

    @pytest.mark.parametrize("name", ["Tenant", "1st", "_x", "a-b", "a b", "", "é", "a" * 65, "a\n", 'a":1,"b'])
    def test_a_name_that_is_not_snake_case_is_refused_by_name(self, name: str) -> None:
        with pytest.raises(InvalidReport, match="snake_case") as caught:
            gather(PropertyRules(), PAYLOAD, given={name: 1})

        assert caught.value.field == f"properties.{name}"

    @pytest.mark.parametrize(
        "value", [None, [1], {"a": 1}, b"bytes", object(), float("nan"), float("inf"), float("-inf"), "\ud800"]
    )
    def test_a_value_that_json_has_no_scalar_for_is_refused_by_name(self, value: Any) -> None:
        with pytest.raises(InvalidReport) as caught:
            gather(PropertyRules(), PAYLOAD, given={"tenant": value})

        assert caught.value.field == "properties.tenant"

    @pytest.mark.parametrize(
        "wrong",
        [{"static": {"Tenant": 1}}, {"from_query": ("Tenant",)}, {"from_report": {"Tenant": "call.id"}}],
    )
    def test_a_wrong_name_in_the_settings_is_refused_at_start(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(ConfigurationError, match="Tenant"):
            PropertyRules(**wrong)
