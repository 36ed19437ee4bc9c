"""The settings of the worker: where Roark is, how hard to try, how much at once.

Read like the producer's (see `roark_producer.settings`): `ROARK_INGEST_X`, and for Roark's own SDK's names
`ROARK_API_BEARER_TOKEN`, `ROARK_BASE_URL`, `ROARK_PROJECT_ID`.
"""

import os
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from roark_producer.errors import ConfigurationError
from roark_producer.settings import FromEnvironment


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
        "pyreqwest", description="what carries httpx: pyreqwest (Rust), or httpx's own pool for few in flight"
    )
    connect_seconds: float = Field(5, gt=0, description="longest wait for a connection")
    upload_seconds: float = Field(60, gt=0, description="longest attempt, from connecting to the answer's end")
    quick_tries: int = Field(2, ge=0, le=5, description="tries at once after a dropped or refused connection")

    processes: int = Field(0, ge=0, description="worker processes; 0: one per core")
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

    probe_seconds: float = Field(10, gt=0, description="first gap between probes of a held lane")
    probe_max_seconds: float = Field(300, gt=0, description="longest gap between probes of a held lane")
    keep_payloads: bool = Field(False, description="keep the payload of a delivered report")
    remember_days: float = Field(30, gt=0, description="how long a delivered call is recognised again")

    @field_validator("roark_base_url")
    @classmethod
    def _usable_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"https", "http"} or not parts.hostname:
            raise ValueError("must be an http:// or https:// URL")
        if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1", "sandbox"}:
            raise ValueError("must be https:// for any host but this one: the token would travel in the clear")
        return value.rstrip("/")

    def require_token(self) -> SecretStr:
        """Return the token.

        Raises ConfigurationError when there is none.
        """
        if self.roark_api_bearer_token is None or not self.roark_api_bearer_token.get_secret_value():
            raise ConfigurationError(
                "ROARK_API_BEARER_TOKEN is not set (nor ROARK_API_BEARER_TOKEN_FILE). Set it to Roark's token, or "
                "try everything without one: roark-ingest up --sandbox"
            )
        return self.roark_api_bearer_token

    @property
    def upload_url(self) -> str:
        """Where reports are posted."""
        return self.roark_base_url + self.upload_path

    @property
    def process_count(self) -> int:
        """How many worker processes there are: the setting, or one per core that this process may use."""
        return self.processes or len(os.sched_getaffinity(0))
