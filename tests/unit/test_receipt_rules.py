"""Which deliveries are looked up at Roark, and which calls are there in time."""

import pytest
from delivering import worker_settings

from roark_worker.receipt_rules import ReceiptRules

MINUTE = 60_000
RULES = ReceiptRules(share=0.01, first_ms=4 * MINUTE, call_ms=5 * MINUTE)


def test_a_look_follows_after_4_9_and_30_minutes_2_hours_and_a_day() -> None:
    assert [age / MINUTE for age in RULES.ages_ms] == [4, 9, 30, 120, 1440]
    assert RULES.in_time_ms == 10 * MINUTE


@pytest.mark.parametrize(("share", "least", "most"), [(0, 0, 0), (0.01, 60, 140), (1, 10_000, 10_000)])
def test_so_many_are_chosen_and_always_the_same(share: float, least: int, most: int) -> None:
    rules = ReceiptRules(share, 1, 1)
    chosen = [rules.is_sampled(f"call-{number}") for number in range(10_000)]

    assert least <= sum(chosen) <= most
    assert chosen == [rules.is_sampled(f"call-{number}") for number in range(10_000)]


def test_without_a_share_nothing_is_looked_up_at_all() -> None:
    assert worker_settings(receipt_share=0).receipt_rules().first_look_ms == 0
    assert worker_settings().receipt_rules().first_look_ms == 4 * MINUTE


@pytest.mark.parametrize(("ended", "now", "expected"), [(1000, 301_000, True), (1000, 301_001, False), (0, 5, False)])
def test_a_call_is_in_time_for_five_minutes_after_its_end(ended: int, now: int, expected: bool) -> None:
    assert RULES.is_in_time(ended, now) is expected
