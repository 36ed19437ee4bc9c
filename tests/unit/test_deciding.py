"""From a verdict to what is recorded: each verdict, with its attempts and its age."""

import msgspec
import pytest
from attempts import judged
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Deliver, Held, Outcome, Refuse, Release
from roark_ledger.packing import pack
from roark_worker.answers.verdict import Delivered, OurFault, Passing, Refused, Verdict
from roark_worker.deciding import decide
from roark_worker.schedule import Schedule

SCHEDULE = Schedule(first_delay=5, max_delay=900, max_attempts=20, max_age=86_400, retry_after_max=3600)
HELD = Held(CallId("call-1"), LeaseToken(7))
PAYLOAD = b'{"type":"end-of-call-report","call":{"id":"call-1"},"customer":{"number":"+15550101234"},"t":"Hello!"}'

MESSAGES = st.text(st.characters(codec="utf-8"))
STATUSES = st.integers(100, 999)
PAUSES = st.floats(0, allow_nan=False)
VERDICTS = st.one_of(
    st.builds(Delivered, STATUSES, MESSAGES, st.booleans(), PAUSES),
    st.builds(
        Passing,
        st.sampled_from(["http_503", "http_429", "timeout", "connect", "network", "transport", "not_roark"]),
        STATUSES,
        MESSAGES,
        st.none() | st.floats(0, allow_nan=False),
        PAUSES,
    ),
    st.builds(Refused, st.just("http_400"), STATUSES, MESSAGES, MESSAGES),
    st.builds(OurFault, st.just("http_401"), STATUSES, MESSAGES),
)


def settled(verdict: Verdict, *, attempts: int = 0, age: float = 1, chance: float = 0.5) -> Outcome:
    """Decide of an attempt after `attempts` failed ones."""
    claimed = Claimed(
        call_id=HELD.call_id,
        token=HELD.token,
        attempts=attempts,
        # With the 120 ms that the upload takes it has that age.
        age_ms=round(age * 1000) - 120,
        revision=False,
        priority="f",
        packed=pack(PAYLOAD),
    )
    return decide(judged(claimed, verdict), SCHEDULE, max_conflicts=3, chance=chance)


def detail(outcome: Outcome) -> dict[str, object]:
    assert not isinstance(outcome, Release)
    decoded: dict[str, object] = msgspec.json.decode(outcome.detail)
    return decoded


class TestDelivered:
    @pytest.mark.parametrize(("attempts", "age"), [(0, 1), (19, 1), (500, 10 * 86_400)])
    def test_a_delivery_is_a_delivery_however_late(self, attempts: int, age: float) -> None:
        outcome = settled(Delivered(200, "roark-1"), attempts=attempts, age=age)

        assert isinstance(outcome, Deliver)
        assert outcome.held == HELD
        assert outcome.roark_call_id == "roark-1"

    def test_its_history_line_says_which_attempt_and_how_long(self) -> None:
        assert detail(settled(Delivered(201, "roark-1"), attempts=2)) == {"attempt": 3, "ms": 120, "status": 201}

    def test_a_duplicate_says_that_it_was_already_there(self) -> None:
        assert detail(settled(Delivered(409, already_there=True)))["already_there"] is True


class TestPassing:
    @pytest.mark.parametrize(
        ("attempts", "seconds"),
        [(0, 5), (1, 10), (2, 20), (3, 40), (7, 640), (8, 900), (18, 900)],
    )
    def test_it_waits_by_the_schedule(self, attempts: int, seconds: float) -> None:
        outcome = settled(Passing("http_503", 503), attempts=attempts, chance=1)

        assert isinstance(outcome, Defer)
        assert outcome.held == HELD
        assert outcome.delay_ms == seconds * 1000
        assert outcome.reason == "http_503"

    def test_it_waits_as_long_as_roark_asked_where_that_is_longer(self) -> None:
        outcome = settled(Passing("http_429", 429, "slow down", retry_after=30), chance=1)

        assert isinstance(outcome, Defer)
        assert outcome.delay_ms == 30_000
        assert detail(outcome) == {
            "attempt": 1,
            "ms": 120,
            "status": 429,
            "reason": "http_429",
            "message": "slow down",
            "retry_after": 30,
            "next_seconds": 30,
        }

    def test_it_never_waits_longer_than_the_cap_of_retry_after(self) -> None:
        outcome = settled(Passing("http_429", 429, retry_after=1e9))

        assert isinstance(outcome, Defer)
        assert outcome.delay_ms == 3_600_000

    @pytest.mark.parametrize(
        ("attempts", "age"), [(19, 1), (20, 1), (0, 86_400), (0, 1e9)], ids=["last", "beyond", "old", "ancient"]
    )
    def test_after_the_last_attempt_or_at_the_greatest_age_it_is_a_dead_letter(self, attempts: int, age: float) -> None:
        outcome = settled(Passing("http_503", 503, "Service is down"), attempts=attempts, age=age)

        assert isinstance(outcome, Bury)
        assert outcome.held == HELD
        assert outcome.reason == "exhausted"
        assert detail(outcome)["reason"] == "http_503"
        assert detail(outcome)["message"] == "Service is down"

    def test_one_attempt_before_the_last_it_still_waits(self) -> None:
        assert isinstance(settled(Passing("timeout"), attempts=18, age=86_399), Defer)


class TestConflict:
    @pytest.mark.parametrize("attempts", [0, 1])
    def test_the_first_two_wait(self, attempts: int) -> None:
        assert isinstance(settled(Passing("http_409", 409), attempts=attempts), Defer)

    @pytest.mark.parametrize("attempts", [2, 3, 10])
    def test_the_third_attempt_and_any_later_one_is_a_dead_letter(self, attempts: int) -> None:
        outcome = settled(Passing("http_409", 409, "The call is being processed"), attempts=attempts)

        assert isinstance(outcome, Bury)
        assert outcome.reason == "http_409"
        assert detail(outcome)["message"] == "The call is being processed"


class TestRefused:
    @pytest.mark.parametrize("attempts", [0, 5, 19])
    def test_it_is_a_dead_letter_at_once_with_roarks_reason(self, attempts: int) -> None:
        outcome = settled(Refused("http_422", 422, "call.id is required", "call.id"), attempts=attempts)

        assert isinstance(outcome, Bury)
        assert outcome.held == HELD
        assert outcome.reason == "http_422"
        assert detail(outcome) == {
            "attempt": attempts + 1,
            "ms": 120,
            "status": 422,
            "reason": "http_422",
            "message": "call.id is required",
            "parameter": "call.id",
        }


class TestOurFault:
    @pytest.mark.parametrize(("attempts", "age"), [(0, 1), (19, 1), (100, 1e9)])
    def test_the_ledger_tells_whether_it_is_about_all_of_us_whatever_was_tried_before(
        self, attempts: int, age: float
    ) -> None:
        outcome = settled(OurFault("http_401", 401, "Missing token"), attempts=attempts, age=age)

        assert isinstance(outcome, Refuse)
        assert (outcome.held, outcome.reason, outcome.message) == (HELD, "http_401", "Missing token")
        assert detail(outcome)["status"] == 401
        assert msgspec.json.decode(outcome.last_words)["over"] == "alone"


@given(VERDICTS, st.integers(0, 30), st.floats(0, 1e6), st.floats(0, 1))
def test_no_history_line_holds_anything_of_the_report(
    verdict: Verdict, attempts: int, age: float, chance: float
) -> None:
    outcome = settled(verdict, attempts=attempts, age=age, chance=chance)

    if not isinstance(outcome, Release):
        assert b"\n" not in outcome.detail
        assert not any(part in outcome.detail for part in (b"+1555", b"Hello!", b"end-of-call-report"))
        assert len(outcome.detail) < 20_000
        assert detail(outcome)["attempt"] == attempts + 1


@given(VERDICTS, st.integers(0, 30), st.floats(0, 1e6), st.floats(0, 1))
def test_every_verdict_is_settled_within_the_limits(verdict: Verdict, attempts: int, age: float, chance: float) -> None:
    match settled(verdict, attempts=attempts, age=age, chance=chance):
        case Deliver(pause_ms=pause_ms):
            assert isinstance(verdict, Delivered)
            assert 0 <= pause_ms <= 3_600_000
        case Refuse(reason=reason):
            assert isinstance(verdict, OurFault)
            assert reason
        case Defer(delay_ms=delay_ms, pause_ms=pause_ms):
            assert isinstance(verdict, Passing)
            assert attempts + 1 < SCHEDULE.max_attempts
            assert age < SCHEDULE.max_age
            assert 0 <= delay_ms <= 3_600_000
            assert 0 <= pause_ms <= 3_600_000
        case Bury(reason=reason):
            assert isinstance(verdict, Refused | Passing)
            assert reason in {"http_400", "exhausted"} or reason == "http_409"
