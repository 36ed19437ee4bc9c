"""How a sandbox is set up: one frozen value, made by the command or by a test."""

from __future__ import annotations

from dataclasses import dataclass, field

DEFAULT_PORT = 4010
DEFAULT_PATH = "/v1/vapi/call"
DEFAULT_MAX_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """Settings of one sandbox.

    `port` 0 picks a free one. Without a `token` every caller is let in. `fail`, `limit`, `refuse` and
    `scenario` are written as in `faults.py`, `limits.py`, `demands.py` and `scenario.py`. With `dedup` off a call
    counts as imported each time it is accepted, so that what `skipAlreadyImported` would hide is seen. What begins with
    `vapi` is about Vapi's side of it: without a key everybody is let in; its faults are refusals only.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    path: str = DEFAULT_PATH
    token: str | None = field(default=None, repr=False)
    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    fail: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()
    refuse: tuple[str, ...] = ()
    scenario: str | None = None
    seed: int | None = None
    dedup: bool = True
    max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
    keep_payloads: bool = False
    vapi_key: str | None = field(default=None, repr=False)
    vapi_fail: tuple[str, ...] = ()
    vapi_retention_days: float = 14.0
