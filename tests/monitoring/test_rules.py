"""Every alert, by `promtool test rules`: what makes it fire, and that nothing else fires with it.

Each test starts from the metrics of a healthy pipeline, changes some, and names exactly the alerts that are firing
after half an hour.
"""

from pathlib import Path
from typing import Any

import pytest
import yaml
from promtool import RULES, alerts, promtool

pytestmark = pytest.mark.monitoring

MINUTES = 30
WORKER = 'instance="worker:8788",job="roark-worker"'
WEBHOOK = 'instance="webhook:8787",job="roark-webhook"'
FOR_EVER = " ".join(["Inf"] * (2 * MINUTES + 1))

Series = dict[str, str]


def still(value: float) -> str:
    """The same value all the time."""
    return f"{float(value)}+0x{2 * MINUTES}"


def rising(per_minute: float, start: float = 0) -> str:
    """A counter that rises evenly."""
    return f"{start}+{per_minute / 2}x{2 * MINUTES}"


def of_ledger(name: str, labels: str, values: str) -> Series:
    """A series of the ledger's, which the webhook and the worker both tell."""
    before = f"{labels}," if labels else ""
    return {f"{name}{{{before}{where}}}": values for where in (WORKER, WEBHOOK)}


def of_worker(name: str, labels: str, values: str) -> Series:
    return {f"{name}{{{labels + ',' if labels else ''}{WORKER}}}": values}


def of_webhook(name: str, labels: str, values: str) -> Series:
    return {f"{name}{{{labels + ',' if labels else ''}{WEBHOOK}}}": values}


def healthy() -> Series:
    """A pipeline that delivers 60 reports a minute within a second."""
    series: Series = {f"up{{{WORKER}}}": still(1), f"up{{{WEBHOOK}}}": still(1)}
    for name, value in {
        "ledger_up": 1, "past_due_seconds": 0.2, "audit_holds": 1, "audit_broken_calls": 0,
        "audit_difference_reports": 0, "unaccounted_reports": 0, "audit_age_seconds": 300, "audio_ending_reports": 0,
        "tick_age_seconds": 5,
        "unconfirmed_share": 0.01, "unconfirmed_reports": 1,
        "receipts_unseen_share": 0.01, "receipts_stale_seconds": 0,
        "partitions_away": 0,
        "vapi_calls_missing": 0, "reconcile_late_seconds": 0,
        "redis_memory_bytes": 4e8, "redis_memory_limit_bytes": 1e9, "redis_memory_short": 0,
        "rejected_fill_ratio": 0.1,
    }.items():  # fmt: skip
        series |= of_ledger(f"roark_ingest_{name}", "", still(value))
    series |= of_ledger("roark_ingest_redis_memory_short_in_seconds", "", FOR_EVER)
    for state, number in {"ready": 3, "uploading": 5, "waiting": 1, "dead": 0, "delivered": 9000}.items():
        series |= of_ledger("roark_ingest_reports", f'state="{state}"', still(number))
    for state in ("open", "held", "breaker-open", "half-open", "throttled"):
        series |= of_ledger("roark_ingest_lane", f'state="{state}"', still(state == "open"))
    for by in ("roark", "person"):
        series |= of_ledger("roark_ingest_lane_held", f'by="{by}"', still(0))
    series |= of_ledger("roark_ingest_replay_jobs", 'state="paused"', still(0))
    for event in ("rejected", "poisoned", "leases_expired", "audio_expired"):
        series |= of_ledger("roark_ingest_events_total", f'event="{event}"', still(7))
    for event, each in {"calls_due": 60, "calls_in_time": 60, "receipts_late": 0}.items():
        series |= of_ledger("roark_ingest_events_total", f'event="{event}"', rising(each))
    for outcome, each in {"delivered": 60, "buried": 0, "deferred": 1}.items():
        series |= of_worker("roark_ingest_worker_settled_total", f'outcome="{outcome}"', rising(each))
    series |= of_worker("roark_ingest_worker_upload_seconds_count", 'result="delivered"', rising(60))
    series |= of_worker("roark_ingest_worker_failed_attempts_total", 'reason="http_503",fault="roark"', rising(1))
    series |= of_worker("roark_ingest_worker_failed_attempts_total", 'reason="http_422",fault="report"', rising(0))
    series |= buckets(second=60)
    series |= of_worker("roark_ingest_worker_processes", "", still(2))
    series |= of_worker("roark_ingest_worker_processes_wanted", "", still(2))
    series |= of_worker("roark_ingest_worker_restarts_total", "", still(4))
    for result, each in {"accepted": 60, "ignored": 9, "unauthorized": 0, "full": 0, "unavailable": 0}.items():
        series |= of_webhook("roark_ingest_webhook_requests_total", f'result="{result}"', rising(each))
    series |= of_webhook("roark_ingest_webhook_spool_reports", "", still(0))
    series |= of_webhook("roark_ingest_webhook_spool_bytes", "", still(0))
    series |= of_webhook("roark_ingest_webhook_spool_limit_bytes", "", still(1e9))
    return series


def buckets(second: float = 0, hour: float = 0) -> Series:
    """So many deliveries a minute that take up to a second, and so many that take up to an hour."""
    name = "roark_ingest_worker_delivery_seconds_bucket"
    return (
        of_worker(name, 'le="1.0"', rising(second))
        | of_worker(name, 'le="3600.0"', rising(second + hour))
        | of_worker(name, 'le="+Inf"', rising(second + hour))
    )


def reports(state: str, number: float) -> Series:
    return of_ledger("roark_ingest_reports", f'state="{state}"', still(number))


def settled(outcome: str, per_minute: float) -> Series:
    return of_worker("roark_ingest_worker_settled_total", f'outcome="{outcome}"', rising(per_minute))


def event(name: str, per_minute: float) -> Series:
    return of_ledger("roark_ingest_events_total", f'event="{name}"', rising(per_minute, start=7))


def failing(reason: str, fault: str, per_minute: float) -> Series:
    return of_worker(
        "roark_ingest_worker_failed_attempts_total", f'reason="{reason}",fault="{fault}"', rising(per_minute)
    )


def answered(result: str, per_minute: float) -> Series:
    return of_webhook("roark_ingest_webhook_requests_total", f'result="{result}"', rising(per_minute))


def lane(state: str) -> Series:
    return of_ledger("roark_ingest_lane", 'state="open"', still(0)) | of_ledger(
        "roark_ingest_lane", f'state="{state}"', still(1)
    )


def without(part: str) -> Series:
    """Take away all that has this in its name or labels."""
    return {name: "" for name in healthy() if part in name}


def flapping(minutes_open: int) -> Series:
    """A breaker that is open, half-open for a moment now and then, and shut again in the end."""
    total = 2 * MINUTES + 1
    shut = ["1" if n < 2 * minutes_open and n % 6 else "0" for n in range(total)]
    half = ["1" if n < 2 * minutes_open and n % 6 == 0 else "0" for n in range(total)]
    return of_ledger("roark_ingest_lane", 'state="breaker-open"', " ".join(shut)) | of_ledger(
        "roark_ingest_lane", 'state="half-open"', " ".join(half)
    )


NOTHING: tuple[str, ...] = ()
OUTAGE = settled("delivered", 0) | reports("waiting", 900) | failing("http_503", "roark", 60)
CASES: dict[str, tuple[Series, tuple[str, ...]]] = {
    "a healthy pipeline": ({}, NOTHING),
    "nothing to do at night": (
        settled("delivered", 0) | reports("ready", 0) | reports("uploading", 0) | reports("waiting", 0)
        | answered("accepted", 0) | buckets() | failing("http_503", "roark", 0)
        | of_worker("roark_ingest_worker_upload_seconds_count", 'result="delivered"', rising(0)),
        NOTHING,
    ),
    "overdue": (of_ledger("roark_ingest_past_due_seconds", "", still(301)), ("RoarkIngestReportsPastDue",)),
    "late, not yet overdue": (of_ledger("roark_ingest_past_due_seconds", "", still(299)), NOTHING),
    "many that wait for their next try": (reports("waiting", 78_000), NOTHING),
    "an outage, all waiting": (OUTAGE, ("RoarkIngestNothingDelivered", "RoarkIngestAttemptsFailing")),
    "deliveries that take long": (buckets(second=50, hour=10), ("RoarkIngestDeliveriesLate",)),
    "one of a hundred takes long": (buckets(second=99, hour=1), NOTHING),
    "a third fails at Roark": (failing("http_503", "roark", 20), ("RoarkIngestAttemptsFailing",)),
    "a third fails for the reports' own fault": (failing("http_422", "report", 20), NOTHING),
    "the first dead letter": (reports("dead", 1), ("RoarkIngestDeadLetters",)),
    "dead letters one after the other": (
        reports("dead", 1) | settled("buried", 6), ("RoarkIngestDeadLetters", "RoarkIngestDeadLettersGrowing"),
    ),
    "one dead letter of a hundred": (reports("dead", 1) | settled("buried", 0.6), ("RoarkIngestDeadLetters",)),
    "a replay that was paused": (
        of_ledger("roark_ingest_replay_jobs", 'state="paused"', still(1)), ("RoarkIngestReplayPaused",),
    ),
    "poison": (event("poisoned", 0.1), ("RoarkIngestPoison",)),
    "a wrong token": (
        lane("held") | of_ledger("roark_ingest_lane_held", 'by="roark"', still(1)), ("RoarkIngestLaneHeldByRoark",),
    ),
    "held by a person for half an hour": (
        lane("held") | of_ledger("roark_ingest_lane_held", 'by="person"', still(1)), NOTHING,
    ),
    "a breaker that stays open, with probes": (lane("breaker-open") | flapping(31), ("RoarkIngestBreakerOpen",)),
    "a breaker that was open for eight minutes": (flapping(8), NOTHING),
    "memory for five hours": (
        of_ledger("roark_ingest_redis_memory_short_in_seconds", "", still(5 * 3600)), ("RoarkIngestMemoryFillingUp",),
    ),
    "memory for seven hours": (of_ledger("roark_ingest_redis_memory_short_in_seconds", "", still(7 * 3600)), NOTHING),
    "memory at four fifths": (
        of_ledger("roark_ingest_redis_memory_bytes", "", still(8e8)), ("RoarkIngestMemoryFillingUp",),
    ),
    "memory without a limit": (of_ledger("roark_ingest_redis_memory_limit_bytes", "", still(0)), NOTHING),
    "memory short": (of_ledger("roark_ingest_redis_memory_short", "", still(1)), ("RoarkIngestMemoryShort",)),
    "spooled": (of_webhook("roark_ingest_webhook_spool_reports", "", still(4)), ("RoarkIngestSpoolInUse",)),
    "spool over half full": (
        of_webhook("roark_ingest_webhook_spool_reports", "", still(4))
        | of_webhook("roark_ingest_webhook_spool_bytes", "", still(6e8)),
        ("RoarkIngestSpoolInUse", "RoarkIngestSpoolFillingUp"),
    ),
    "redis cannot save": (
        of_webhook("roark_ingest_webhook_redis_refuses", 'reason="MISCONF"', still(1)), ("RoarkIngestRedisRefuses",),
    ),
    "a spool's file that cannot be read": (
        of_ledger("roark_ingest_unreadable_spooled_reports", "", still(2)), ("RoarkIngestSpoolUnreadable",),
    ),
    "an emptied ledger": (of_ledger("roark_ingest_lost_reports", "", still(180)), ("RoarkIngestLedgerLost",)),
    "no spool": (of_webhook("roark_ingest_webhook_spool_limit_bytes", "", still(0)), NOTHING),
    "refused for want of room": (answered("full", 1), ("RoarkIngestWebhookRefusing",)),
    "a wrong secret": (
        answered("unauthorized", 70) | answered("accepted", 0), ("RoarkIngestWebhookUnauthorized",),
    ),
    "a stranger knocks": (answered("unauthorized", 5), NOTHING),
    "the bin at 85 %": (
        of_ledger("roark_ingest_rejected_fill_ratio", "", still(0.85)), ("RoarkIngestRejectedBinFilling",),
    ),
    "the bin at 75 %": (of_ledger("roark_ingest_rejected_fill_ratio", "", still(0.75)), NOTHING),
    "unusable reports": (event("rejected", 2), ("RoarkIngestReportsRejected",)),
    "accounts that do not hold": (of_ledger("roark_ingest_audit_holds", "", still(0)), ("RoarkIngestAuditBroken",)),
    "no audit for two hours": (
        of_ledger("roark_ingest_audit_age_seconds", "", still(7200)), ("RoarkIngestAuditStale",),
    ),
    "answers that name no call": (
        of_ledger("roark_ingest_unconfirmed_share", "", still(0.2)), ("RoarkIngestUnconfirmed",),
    ),
    "answers that named no call, and all are confirmed": (
        of_ledger("roark_ingest_unconfirmed_share", "", still(0.2))
        | of_ledger("roark_ingest_unconfirmed_reports", "", still(0)),
        NOTHING,
    ),
    "no audit ever": (of_ledger("roark_ingest_audit_age_seconds", "", FOR_EVER), ("RoarkIngestAuditStale",)),
    "calls missing": (of_ledger("roark_ingest_vapi_calls_missing", "", still(3)), ("RoarkIngestCallsMissing",)),
    "Vapi's list not read": (
        of_ledger("roark_ingest_reconcile_late_seconds", "", still(9000)), ("RoarkIngestReconcileStale",),
    ),
    "Roark does not show what it took": (
        of_ledger("roark_ingest_receipts_unseen_share", "", still(0.2)) | event("receipts_late", 1),
        ("RoarkIngestReceiptsMissing",),
    ),
    "one that Roark did not show, long ago": (of_ledger("roark_ingest_receipts_unseen_share", "", still(0.2)), NOTHING),
    "nothing can be looked up at Roark": (
        of_ledger("roark_ingest_receipts_stale_seconds", "", still(4000)), ("RoarkIngestReceiptsMissing",),
    ),
    "half of the calls are late": (
        event("calls_in_time", 30), ("RoarkIngestCallsLateFastBurn", "RoarkIngestCallsLateSlowBurn"),
    ),
    "one of two hundred is late": (event("calls_in_time", 59.7), NOTHING),
    "few calls, half of them late": (event("calls_due", 0.3) | event("calls_in_time", 0.15), NOTHING),
    "no calls at all": (event("calls_due", 0) | event("calls_in_time", 0), NOTHING),
    "audio about to end": (of_ledger("roark_ingest_audio_ending_reports", "", still(2)), ("RoarkIngestAudioEnding",)),
    "audio that has ended": (event("audio_expired", 1), ("RoarkIngestAudioExpired",)),
    "no worker ticks": (of_ledger("roark_ingest_tick_age_seconds", "", still(90)), ("RoarkIngestWorkersAbsent",)),
    "no worker ever ticked": (
        of_ledger("roark_ingest_tick_age_seconds", "", FOR_EVER), ("RoarkIngestWorkersAbsent",),
    ),
    "a process is missing": (
        of_worker("roark_ingest_worker_processes", "", still(1)), ("RoarkIngestWorkerProcessesMissing",),
    ),
    "processes die": (
        of_worker("roark_ingest_worker_restarts_total", "", rising(0.5, start=4)), ("RoarkIngestWorkersDying",),
    ),
    "leases run out": (event("leases_expired", 3), ("RoarkIngestLeasesExpiring",)),
    "Redis is away": (
        without("roark_ingest_reports") | of_ledger("roark_ingest_ledger_up", "", still(0)), ("RoarkIngestLedgerDown",),
    ),
    "partitions are away": (
        of_ledger("roark_ingest_partitions_away", "", still(2)), ("RoarkIngestPartitionAway",),
    ),
    "no webhook": (without('job="roark-webhook"'), ("RoarkIngestNoWebhookMetrics",)),
    "no worker": (without('job="roark-worker"'), ("RoarkIngestNoWorkerMetrics",)),
    "nothing at all": (
        without(""), ("RoarkIngestLedgerDown", "RoarkIngestNoWebhookMetrics", "RoarkIngestNoWorkerMetrics"),
    ),
    "one webhook of two is down": (
        {'up{instance="webhook-2:8787",job="roark-webhook"}': still(0)}, ("RoarkIngestTargetDown",),
    ),
}  # fmt: skip


def as_test(changed: Series, firing: tuple[str, ...], minutes: int = MINUTES) -> dict[str, Any]:
    series = {name: values for name, values in (healthy() | changed).items() if values}
    return {
        "interval": "30s",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{minutes}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(firing)],
            }
        ],
    }


def run(tests: list[dict[str, Any]], folder: Path) -> None:
    written = folder / "rules_test.yml"
    content = {"rule_files": [str(RULES)], "evaluation_interval": "30s", "tests": tests}
    written.write_text(yaml.safe_dump(content), "utf-8")
    promtool("test", "rules", str(written))


def test_the_rules_are_sound() -> None:
    promtool("check", "rules", str(RULES))


def test_exactly_these_alerts_fire(tmp_path: Path) -> None:
    run([as_test(changed, firing) | {"name": case} for case, (changed, firing) in CASES.items()], tmp_path)


def test_a_lane_that_a_person_forgot_is_told_after_an_hour(tmp_path: Path) -> None:
    forgotten = of_ledger("roark_ingest_lane_held", 'by="person"', f"1+0x{2 * 70}")
    test = as_test({}, NOTHING)
    only = [{"series": name, "values": values} for name, values in forgotten.items()]
    told = {
        "expr": 'ALERTS{alertname="RoarkIngestLaneHeldByPerson",alertstate="firing"}',
        "eval_time": "70m",
        "exp_samples": [
            {
                "labels": 'ALERTS{alertname="RoarkIngestLaneHeldByPerson",alertstate="firing",severity="ticket"}',
                "value": 1,
            }
        ],
    }
    run([test | {"input_series": only, "promql_expr_test": [told]}], tmp_path)


@pytest.mark.parametrize(("late", "is_told"), [(0.05, True), (0.02, False)])
def test_calls_that_are_late_all_day_are_told_once_they_use_up_the_budget(
    late: float, is_told: bool, tmp_path: Path
) -> None:
    hours = 12
    series = {"calls_due": 60.0, "calls_in_time": 60 * (1 - late)}
    only = [
        {"series": name, "values": f"0+{per_minute / 2}x{120 * hours}"}
        for event_name, per_minute in series.items()
        for name in of_ledger("roark_ingest_events_total", f'event="{event_name}"', "")
    ]
    told = {
        "expr": 'count(ALERTS{alertname=~"RoarkIngestCallsLate.*",alertstate="firing"})',
        "eval_time": f"{hours}h",
        "exp_samples": [{"labels": "{}", "value": 1}] if is_told else [],
    }
    run([as_test({}, NOTHING) | {"input_series": only, "promql_expr_test": [told]}], tmp_path)


def test_every_alert_was_seen_firing() -> None:
    seen = {name for _, firing in CASES.values() for name in firing} | {"RoarkIngestLaneHeldByPerson"}
    assert seen == set(alerts())


def test_a_wrong_expectation_fails(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="FAILED"):
        run([as_test({}, ("RoarkIngestPoison",))], tmp_path)
