"""The settings of the worker: where Roark is, how hard to try, how much at once.

Read like the producer's (see `roark_producer.settings`): `ROARK_INGEST_X`, and for Roark's own SDK's names
`ROARK_API_BEARER_TOKEN`, `ROARK_BASE_URL`, `ROARK_PROJECT_ID`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from roark_ledger.errors import ConfigurationError
from roark_ledger.flow import FlowRules, per_second, usual_burst
from roark_ledger.routes import Route
from roark_ledger.urls import base_url
from roark_producer.settings import FromEnvironment, IngestSettings, constant
from roark_worker.receipt_rules import ReceiptRules
from roark_worker.schedule import Schedule
from roark_worker.upload.room import processes_with_room

_CREATION_PATH = "/v1/call"
_LARGEST_REPORT: int = IngestSettings.model_fields["max_report_bytes"].default


class WorkerSettings(FromEnvironment):
    """How reports are uploaded. Durations are in the unit of the name."""

    roark_api_bearer_token: SecretStr | None = Field(
        None, validation_alias="ROARK_API_BEARER_TOKEN", description="Roark's API token"
    )
    roark_base_url: str = Field(
        "https://api.roark.ai", validation_alias="ROARK_BASE_URL", description="base URL of Roark's API"
    )
    roark_project_id: str | None = Field(
        None, validation_alias="ROARK_PROJECT_ID", description="project, sent as X-Roark-Project-Id"
    )
    upload_path: str = Field("/v1/vapi/call", pattern="^/", description="path for uploads by the way in vapi")
    route: Route = Field(
        "vapi",
        description="Roark's way in: vapi (POST /v1/vapi/call), or call (POST /v1/call, should the first one be gone); "
        "`roark-ingest route` switches all workers at once",
    )
    transport: Literal["pyreqwest", "httpx"] = Field(
        "pyreqwest", description="HTTP client: pyreqwest (Rust), or plain httpx, for few concurrent uploads"
    )
    # Longest wait for a connection.
    connect_seconds: float = constant(5, gt=0)
    upload_seconds: float = Field(
        60, gt=0, description="timeout of a whole attempt, from connecting to the end of the answer"
    )
    # Tries at once after a dropped or refused connection.
    quick_tries: int = constant(2, ge=0, le=5)

    processes: int = Field(0, ge=0, description="worker processes; 0: one per core, fewer if memory is short")
    max_in_flight: int = Field(256, ge=1, le=4096, description="concurrent uploads per process, at most")
    # Most reports claimed at once.
    claim_batch: int = constant(64, ge=1, le=512)
    # Most compressed bytes claimed at once.
    claim_bytes: int = constant(4_000_000, ge=1000)
    # Time budget of one drain.
    drain_seconds: float = constant(10, gt=0)
    shutdown_seconds: float = Field(25, ge=0, description="time for uploads to finish after SIGTERM")
    # How often workers check for due and abandoned reports.
    tick_seconds: float = constant(1, gt=0)
    # A worker idle so long beside ready reports restarts.
    stall_seconds: float = constant(60, gt=0)

    # A dead worker's reports are queued again after this time.
    lease_seconds: float = constant(15, ge=1)
    # Leases in a row that run out before a report is poison.
    max_deaths: int = constant(3, ge=1)

    # Longest wait before the second attempt.
    first_delay_seconds: float = constant(5, gt=0)
    max_delay_seconds: float = Field(900, gt=0, description="longest wait before any attempt")
    max_attempts: int = Field(20, ge=1, description="attempts before a report becomes a dead letter")
    max_age_hours: float = Field(24, gt=0, description="age after which a report is not retried any more")
    # Retry-After is obeyed up to this.
    retry_after_max_seconds: float = constant(3600, gt=0)
    # Attempts answered 409 before a report is a dead letter.
    max_conflicts: int = constant(3, ge=1)

    rate: str = Field(
        "", description="upload rate limit for all workers together, such as 50/s or 600/min; empty: no limit"
    )
    # Uploads that may start at once after a pause; 0: a quarter second's.
    burst: int = constant(0, ge=0)
    concurrency: Annotated[int, BeforeValidator(lambda value: 0 if value == "adaptive" else value)] = Field(
        0, ge=0, description="concurrent uploads of all workers together; adaptive (0): adjusts itself"
    )
    # The most that adaptive concurrency goes up to.
    max_concurrency: int = constant(2048, ge=1)
    # Failures are counted over this time.
    breaker_window_seconds: float = constant(30, gt=0)
    # Fewest attempts in it that open the breaker; 0: never.
    breaker_attempts: int = constant(20, ge=0)
    # Share of them that must fail.
    breaker_share: float = constant(0.5, gt=0, le=1)
    # The breaker's wait before its first probe, and the longest between two.
    breaker_seconds: float = constant(5, gt=0)
    breaker_max_seconds: float = constant(60, gt=0)
    # Longest wait between probes while Roark's answers have paused uploads.
    probe_max_seconds: float = constant(60, gt=0)

    # A replay job waits so long for reports that are put off; then they count as failed.
    replay_patience_seconds: float = constant(60, gt=0)
    replay_keep_days: float = Field(0, ge=0, description="how long finished replay jobs are kept; 0: forever")
    keep_payloads: bool = Field(False, description="keep the payload of delivered reports: on, off")
    audit_minutes: float = Field(
        10, ge=0, description="how often a worker audits that all reports are accounted for; 0: never"
    )
    traceparent_to_roark: bool = Field(False, description="send the trace ID to Roark with each upload: on, off")
    flower_events: bool = Field(True, description="show every report in Flower: on, off")
    # Successes per second that each worker process shows in Flower, at most. Problems are always shown.
    flower_successes_per_second: float = constant(100, ge=0)
    alert_url: SecretStr | None = Field(None, description="URL that alerts are posted to, as JSON (Slack-compatible)")
    # How often workers check for alerts, and how long a cause must be gone before its alert is cleared.
    alert_look_seconds: float = constant(5, ge=0)
    alert_calm_seconds: float = constant(60, ge=0)
    alert_repeat_hours: float = Field(24, ge=0, description="send a lasting alert again after this time; 0: never")
    alert_deaths: int = Field(25, ge=1, description="alert when this many dead letters arrive within ten minutes")
    # A breaker that is open for so long is an alert.
    alert_breaker_seconds: float = constant(300, ge=0)
    # Audio links that expire within this time, and this share of deliveries without a confirmation, are alerts, as they
    # are in ops/prometheus/rules.yml.
    alert_audio_minutes: float = constant(60, ge=0)
    alert_unconfirmed_share: float = constant(0.05, gt=0, le=1)
    receipt_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of deliveries that a worker looks up at Roark a few minutes later, from 0 (none) to 1 (all)",
    )
    # When a delivery is first looked up; the later looks follow from it.
    receipt_minutes: float = constant(4, gt=0)
    # Roark shall have a call so soon after its end.
    call_minutes: float = constant(5, gt=0)
    dead_days: float = Field(0, ge=0, description="how long dead letters are kept; 0: forever")
    discarded_days: float = Field(0, ge=0, description="how long discarded letters can be restored; 0: forever")
    unconfirmed_days: float = Field(
        0, ge=0, description="how long the reports of unconfirmed deliveries are kept; 0: forever"
    )
    # Warn this long before retention removes something.
    notice_hours: float = constant(24, gt=0)
    remember_days: float = Field(30, gt=0, description="how long delivered calls are remembered, to detect duplicates")

    metrics_host: str = Field("127.0.0.1", description="address of the workers' /metrics")
    metrics_port: int = Field(8788, ge=0, le=65535, description="port of the workers' /metrics; 0: none")
    metrics_folder: Path | None = Field(
        None,
        description="folder in which plain Celery workers on one machine share their metrics; none: each has its own",
    )

    @field_validator("roark_base_url")
    @classmethod
    def _usable_url(cls, value: str) -> str:
        return base_url(value, carrying="token")

    def require_token(self) -> SecretStr:
        """Return the token.

        Raises ConfigurationError when there is none, or none that a header can carry.
        """
        if self.roark_api_bearer_token is None or not self.roark_api_bearer_token.get_secret_value():
            raise ConfigurationError(
                "neither ROARK_API_BEARER_TOKEN nor ROARK_API_BEARER_TOKEN_FILE is set. Set one of them, or try "
                "everything without a token: roark-ingest up --sandbox"
            )
        if not is_usable_token(self.roark_api_bearer_token.get_secret_value()):
            raise ConfigurationError(
                "ROARK_API_BEARER_TOKEN is not a valid header value: it must be printable ASCII without spaces. "
                "Copy the token again"
            )
        return self.roark_api_bearer_token

    @field_validator("rate")
    @classmethod
    def _known_rate(cls, value: str) -> str:
        try:
            per_second(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    def flow_rules(self) -> FlowRules:
        """Return the rules of the way to Roark."""
        rate = per_second(self.rate)
        return FlowRules(
            per_second=rate,
            burst=self.burst or usual_burst(rate),
            ceiling=self.concurrency or self.max_concurrency,
            adaptive=not self.concurrency,
            window_ms=round(self.breaker_window_seconds * 1000),
            least=self.breaker_attempts,
            share=self.breaker_share,
            cooldown_ms=round(self.breaker_seconds * 1000),
            longest_cooldown_ms=round(self.breaker_max_seconds * 1000),
        )

    def receipt_rules(self) -> ReceiptRules:
        """Return which deliveries are looked up at Roark, and which calls are there in time."""
        return ReceiptRules(self.receipt_share, round(self.receipt_minutes * 60_000), round(self.call_minutes * 60_000))

    def schedule(self) -> Schedule:
        """Return when a report is tried again."""
        return Schedule(
            first_delay=self.first_delay_seconds,
            max_delay=self.max_delay_seconds,
            max_attempts=self.max_attempts,
            max_age=self.max_age_hours * 3600,
            retry_after_max=self.retry_after_max_seconds,
        )

    @property
    def upload_url(self) -> str:
        """Where reports are posted by the way in that is set."""
        return self.url_of(self.route)

    def url_of(self, route: Route) -> str:
        """Return where reports are posted by this way in."""
        return self.roark_base_url + (self.upload_path if route == "vapi" else _CREATION_PATH)

    @property
    def process_count(self) -> int:
        """How many worker processes there are: the setting, or one per core, fewer where memory is short."""
        return self.processes or processes_with_room(len(os.sched_getaffinity(0)), _LARGEST_REPORT)


def is_usable_token(text: str) -> bool:
    """Whether an Authorization header can carry this token."""
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None
