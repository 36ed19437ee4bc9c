"""Why the lane is shut: on whose side, by what evidence, where and with which token."""

import pytest

from roark_ledger.records.lane import Evidence, Lane
from roark_ledger.records.setup import Setup
from roark_worker.answers.explain import Explanation, Side
from roark_worker.answers.lane_words import explain_way, main_cause
from roark_worker.upkeep.setup_notes import shown_url, token_ends

SETUP = Setup(0, 0, 1, "1.0", "mark", {}, "https://api.roark.ai/v1/vapi/call", "ab12")
NOON_MS = 1_800_000_000_000


def lane(state: str, evidence: Evidence, reason: str = "", by: str = "roark") -> Lane:
    return Lane(state, reason, by, 0, 0, 0, evidence=evidence)


def told(of: Lane, setup: Setup | None = SETUP) -> Explanation:
    found = explain_way(of, setup)
    assert found is not None
    return found


def test_an_open_lane_has_nothing_to_tell() -> None:
    assert explain_way(lane("open", Evidence()), SETUP) is None


def test_a_hold_names_how_many_were_refused_with_what_since_when_where_and_with_which_token() -> None:
    evidence = Evidence({"http_403": 3}, ("call-1", "call-2"), 3, NOON_MS)

    why = told(lane("held", evidence, "http_403 No permission"))

    assert why.what.startswith(
        "3 different reports were refused (http_403: 3), none delivered since 08:00:00 UTC, "
        "for example call-1, call-2. Token …ab12 at https://api.roark.ai/v1/vapi/call. Our token has no permission"
    )
    assert why.side is Side.SETTINGS


def test_without_a_set_up_or_evidence_only_the_reason_is_told() -> None:
    assert told(lane("held", Evidence(), "http_401"), None).what.startswith("Roark rejected our token")


def test_without_examples_no_call_is_named() -> None:
    found = explain_way(lane("held", Evidence({"http_403": 1}, ("call-1",), 1), "http_403"), SETUP, examples=False)

    assert found
    assert "call-1" not in found.what


def test_a_hold_by_a_person_tells_of_no_refusals() -> None:
    why = told(lane("held", Evidence({"http_403": 1}, ("call-1",), 1), "moving", by="ada"))

    assert why.what == "ada paused uploads: moving."


@pytest.mark.parametrize(
    ("cause", "side", "words"),
    [
        ("connect_tls", Side.SETTINGS, "certificate"),
        ("connect_dns", Side.SETTINGS, "cannot be resolved"),
        ("connect_proxy", Side.SETTINGS, "proxy"),
        ("connect_refused", Side.NETWORK, "Connection refused"),
        ("network", Side.NETWORK, "broke"),
        ("timeout", Side.NETWORK, "in time"),
    ],
)
def test_a_breaker_is_blamed_on_what_most_attempts_failed_of(cause: str, side: Side, words: str) -> None:
    why = told(lane("breaker-open", Evidence({cause: 9, "http_503": 1}, ("call-1",))))

    assert why.side is side
    assert words in why.what
    assert f"({cause}: 9, http_503: 1)" in why.what
    assert "Token …ab12 at" in why.what
    assert why.command == "roark-ingest doctor"


def test_a_breaker_that_roark_opened_is_on_roarks_side() -> None:
    assert told(lane("half-open", Evidence({"http_503": 9, "connect_dns": 1}))).side is Side.ROARK


@pytest.mark.parametrize(
    ("shut", "cause"),
    [
        (lane("held", Evidence(), "http_401 Unauthorized"), "http_401"),
        (lane("held", Evidence(), "moving on", by="ada"), "person"),
        (lane("breaker-open", Evidence({"connect_dns": 2, "http_503": 1})), "connect_dns"),
        (lane("breaker-open", Evidence()), ""),
    ],
)
def test_the_cause_is_one_word_by_which_another_one_is_known(shut: Lane, cause: str) -> None:
    assert main_cause(shut) == cause


def test_of_a_token_its_end_is_shown_where_that_is_a_small_part_of_it() -> None:
    assert token_ends("0123456789abcdef") == "cdef"
    assert token_ends("0123456789abcde") == ""


def test_a_url_is_shown_without_password_and_query() -> None:
    assert shown_url("https://me:secret@roark.test:8443/v1/call?key=secret#x") == "https://roark.test:8443/v1/call"
