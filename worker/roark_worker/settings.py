"""The settings of the worker: where Roark is, how hard to try, how much at once.

Read like the producer's (see `roark_producer.settings`): `ROARK_INGEST_X`, and for Roark's own SDK's names
`ROARK_API_BEARER_TOKEN`, `ROARK_BASE_URL`, `ROARK_PROJECT_ID`.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator

from roark_ledger.errors import ConfigurationError
from roark_ledger.flow import FlowRules, per_second, usual_burst
from roark_producer.settings import FromEnvironment, IngestSettings
from roark_worker.schedule import Schedule
from roark_worker.upload.room import processes_with_room

_LARGEST_REPORT: int = IngestSettings.model_fields["max_report_bytes"].default


class WorkerSettings(FromEnvironment):
    """How reports are uploaded. Durations are in the unit of the name."""

    roark_api_bearer_token: SecretStr | None = Field(
        None, validation_alias="ROARK_API_BEARER_TOKEN", description="Roark's API token"
    )
    roark_base_url: str = Field(
        "https://api.roark.ai", validation_alias="ROARK_BASE_URL", description="where Roark's API is"
    )
    roark_project_id: str | None = Field(
        None, validation_alias="ROARK_PROJECT_ID", description="sent as X-Roark-Project-Id"
    )
    upload_path: str = Field("/v1/vapi/call", pattern="^/", description="path that reports are posted to")
    transport: Literal["pyreqwest", "httpx"] = Field(
        "pyreqwest", description="what uploads: pyreqwest (Rust), or plain httpx, for few in flight"
    )
    connect_seconds: float = Field(5, gt=0, description="longest wait for a connection")
    upload_seconds: float = Field(60, gt=0, description="longest attempt, from connecting to the answer's end")
    quick_tries: int = Field(2, ge=0, le=5, description="tries at once after a dropped or refused connection")

    processes: int = Field(0, ge=0, description="worker processes; 0: one per core, fewer where memory is short")
    max_in_flight: int = Field(256, ge=1, le=4096, description="uploads in flight per process")
    claim_batch: int = Field(64, ge=1, le=512, description="most reports claimed at once")
    claim_bytes: int = Field(8_000_000, ge=1000, description="most compressed bytes claimed at once")
    drain_seconds: float = Field(10, gt=0, description="time budget of one drain")
    shutdown_seconds: float = Field(25, ge=0, description="how long uploads may still end after SIGTERM")
    tick_seconds: float = Field(1, gt=0, description="how often due and abandoned reports are looked for")
    stall_seconds: float = Field(60, gt=0, description="a worker idle so long beside ready reports restarts")

    lease_seconds: float = Field(15, ge=1, description="a dead worker's reports come back after this")
    max_deaths: int = Field(3, ge=1, description="leases in a row that run out before a report is poison")

    first_delay_seconds: float = Field(5, gt=0, description="longest wait before the second attempt")
    max_delay_seconds: float = Field(900, gt=0, description="longest wait before any attempt")
    max_attempts: int = Field(20, ge=1, description="attempts before a report is a dead letter")
    max_age_hours: float = Field(24, gt=0, description="age at which no further attempt is planned")
    retry_after_max_seconds: float = Field(3600, gt=0, description="Retry-After is obeyed up to this")
    max_conflicts: int = Field(3, ge=1, description="attempts answered 409 before a report is a dead letter")

    rate: str = Field("", description="most uploads over all workers, like 50/s or 600/min; empty: no limit")
    burst: int = Field(0, ge=0, description="uploads that may start at once after a pause; 0: a quarter second's")
    concurrency: Annotated[int, BeforeValidator(lambda value: 0 if value == "adaptive" else value)] = Field(
        0, ge=0, description="uploads in flight over all workers; adaptive (0): found by itself"
    )
    max_concurrency: int = Field(2048, ge=1, description="the most that adaptive concurrency goes up to")
    breaker_window_seconds: float = Field(30, gt=0, description="failures are counted over this time")
    breaker_attempts: int = Field(20, ge=0, description="fewest attempts in it that open the breaker; 0: never")
    breaker_share: float = Field(0.5, gt=0, le=1, description="share of them that must fail")
    breaker_seconds: float = Field(5, gt=0, description="first gap before the breaker lets a probe through")
    breaker_max_seconds: float = Field(60, gt=0, description="longest such gap")

    probe_max_seconds: float = Field(60, gt=0, description="longest gap between probes of a held lane")
    replay_patience_seconds: float = Field(
        60,
        gt=0,
        description="a replay job waits so long for reports that are put off; then they count as failed",
    )
    replay_keep_days: float = Field(0, ge=0, description="how long an ended replay job is shown; 0: for good")
    keep_payloads: bool = Field(False, description="keep the payload of a delivered report")
    audit_minutes: float = Field(10, ge=0, description="how often one worker accounts for all reports; 0: never")
    traceparent_to_roark: bool = Field(False, description="send the trace's id to Roark with each upload: on, off")
    flower_events: bool = Field(True, description="tell Flower what becomes of each report: on, off")
    flower_successes_per_second: float = Field(
        100, ge=0, description="successes told to Flower by each worker process; of more, so many. Problems: all"
    )
    alert_url: SecretStr | None = Field(None, description="where alerts are posted, as JSON that Slack takes")
    alert_look_seconds: float = Field(5, ge=0, description="how often alerts are looked for; 0: never")
    alert_calm_seconds: float = Field(60, ge=0, description="an alert is over when its cause is away for so long")
    alert_repeat_hours: float = Field(24, ge=0, description="an alert that lasts is sent again; 0: never")
    alert_deaths: int = Field(25, ge=1, description="so many dead letters within ten minutes are an alert")
    alert_breaker_seconds: float = Field(300, ge=0, description="a breaker that is open for so long is an alert")
    alert_audio_minutes: float = Field(60, ge=0, description="audio links that end within this are an alert")
    alert_unconfirmed_share: float = Field(
        0.05, gt=0, le=1, description="share of deliveries in which Roark names no call that is an alert"
    )
    dead_days: float = Field(0, ge=0, description="how long dead letters are kept; 0: for ever")
    discarded_days: float = Field(0, ge=0, description="how long discarded reports can be restored; 0: for ever")
    unconfirmed_days: float = Field(
        0, ge=0, description="how long reports are kept that Roark took without naming the call; 0: for ever"
    )
    notice_hours: float = Field(24, gt=0, description="removal by age is announced so long before it happens")
    remember_days: float = Field(30, gt=0, description="how long a delivered call is recognised again")

    metrics_host: str = Field("127.0.0.1", description="address of the worker's /metrics")
    metrics_port: int = Field(8788, ge=0, le=65535, description="port of the worker's /metrics; 0: none")
    metrics_folder: Path | None = Field(
        None, description="where plain Celery workers of one machine count together; none: each by itself"
    )

    @field_validator("roark_base_url")
    @classmethod
    def _usable_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1", "sandbox"}:
            raise ValueError("must be https:// for any host but this one: the token would travel in the clear")
        return value.rstrip("/")

    @field_validator("roark_api_bearer_token")
    @classmethod
    def _without_blanks_around(cls, value: SecretStr | None) -> SecretStr | None:
        # Secrets that are mounted as variables often end in a newline.
        return SecretStr(value.get_secret_value().strip()) if value else None

    def require_token(self) -> SecretStr:
        """Return the token.

        Raises ConfigurationError when there is none, or none that a header can carry.
        """
        if self.roark_api_bearer_token is None or not self.roark_api_bearer_token.get_secret_value():
            raise ConfigurationError(
                "ROARK_API_BEARER_TOKEN is not set (nor ROARK_API_BEARER_TOKEN_FILE). Set it to Roark's token, or "
                "try everything without one: roark-ingest up --sandbox"
            )
        if not is_usable_token(self.roark_api_bearer_token.get_secret_value()):
            raise ConfigurationError(
                "ROARK_API_BEARER_TOKEN cannot be sent in a header: it must be printable ASCII without blanks. "
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
        """Where reports are posted."""
        return self.roark_base_url + self.upload_path

    @property
    def process_count(self) -> int:
        """How many worker processes there are: the setting, or one per core, fewer where memory is short."""
        return self.processes or processes_with_room(len(os.sched_getaffinity(0)), _LARGEST_REPORT)


def is_usable_token(text: str) -> bool:
    """Whether an Authorization header can carry this token."""
    return re.fullmatch(r"[\x21-\x7e]+", text) is not None
