"""The command that starts a sandbox: its options, checked before anything listens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from roark_sandbox.options import DEFAULT_MAX_BODY_BYTES, DEFAULT_PATH, DEFAULT_PORT, SandboxOptions
from roark_sandbox.trouble.demands import parse_demand
from roark_sandbox.trouble.faults import parse_faults
from roark_sandbox.trouble.limits import parse_limit
from roark_sandbox.trouble.scenario import parse_scenario


def _checked_faults(fail: list[str]) -> list[str]:
    try:
        parse_faults(fail)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return fail


def _checked_by(parse: Callable[[str], object]) -> Callable[[list[str]], list[str]]:
    def checked(specs: list[str]) -> list[str]:
        try:
            for spec in specs:
                parse(spec)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        return specs

    return checked


def _checked_scenario(scenario: str | None) -> str | None:
    try:
        if scenario is not None:
            parse_scenario(scenario)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    return scenario


def _checked_path(path: str) -> str:
    if not path.startswith("/"):
        raise typer.BadParameter(f"{path!r} must start with /")
    return path


Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on (0: any free port).")]
Host = Annotated[str, typer.Option(help="Address to listen on.")]
Path = Annotated[str, typer.Option(callback=_checked_path, help="Upload path.")]
LatencyMs = Annotated[float, typer.Option(min=0, help="Milliseconds before an upload is answered.")]
JitterMs = Annotated[float, typer.Option(min=0, help="Random extra milliseconds, at most.")]
Fail = Annotated[
    list[str],
    typer.Option(
        callback=_checked_faults,
        metavar="WHAT:RATE[:OPTION]…",
        help="Make uploads fail, at this rate: 503:0.2, 429:0.1:retry-after=2, 400:calls=ID1+ID2, timeout:0.05, "
        "reset:0.02, html:0.1, html-400:0.1, say-422:0.1:body=TEXT, 200-error:0.1, 200-empty:0.1, cut:0.01. Options: "
        "calls, assistants, imported, retry-after, retry-after-ms, should-retry, code, message, body. Repeatable.",
    ),
]
Limit = Annotated[
    list[str],
    typer.Option(
        callback=_checked_by(parse_limit),
        metavar="N or N/s",
        help="Capacity: 40 concurrent uploads (503 above), or 50/s (429 with Retry-After above). Repeatable.",
    ),
]
RefuseOption = Annotated[
    list[str],
    typer.Option(
        "--refuse",
        callback=_checked_by(parse_demand),
        metavar="PATH=VALUE",
        help="Refuse (400) reports with this value, such as endedReason=unknown. Repeatable.",
    ),
]
ScenarioOption = Annotated[
    str | None,
    typer.Option(
        callback=_checked_scenario,
        metavar="KIND:DURATION[@START]",
        help="Act out a scenario: outage:30s, outage:30s@10s, flap:30s, slow:2s.",
    ),
]
Token = Annotated[str | None, typer.Option(help="Bearer token to require (default: none).")]
Seed = Annotated[int | None, typer.Option(help="Random seed: the same requests fail in every run.")]
NoDedup = Annotated[bool, typer.Option("--no-dedup", help="Import every accepted upload, even duplicates.")]
MaxBody = Annotated[int, typer.Option(min=0, help="Largest request body in bytes (413 above).")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the listening address as JSON.")]
KeepPayloads = Annotated[bool, typer.Option("--keep-payloads", help="Keep each call's last payload.")]

VapiKey = Annotated[str | None, typer.Option(help="Vapi's API: key to require (default: none).")]
VapiFail = Annotated[
    list[str],
    typer.Option(
        callback=_checked_faults,
        metavar="STATUS:RATE[:OPTION]…",
        help="Vapi's API: make requests fail, such as 429:0.1:retry-after=1. Repeatable.",
    ),
]


def sandbox(
    *,
    port: Port = DEFAULT_PORT,
    host: Host = "127.0.0.1",
    path: Path = DEFAULT_PATH,
    latency_ms: LatencyMs = 0.0,
    jitter_ms: JitterMs = 0.0,
    fail: Fail = [],  # noqa: B006 Typer copies it
    limit: Limit = [],  # noqa: B006 Typer copies it
    refuse: RefuseOption = [],  # noqa: B006 Typer copies it
    scenario: ScenarioOption = None,
    token: Token = None,
    seed: Seed = None,
    no_dedup: NoDedup = False,
    max_body: MaxBody = DEFAULT_MAX_BODY_BYTES,
    keep_payloads: KeepPayloads = False,
    vapi_key: VapiKey = None,
    vapi_fail: VapiFail = [],  # noqa: B006 Typer copies it
    as_json: AsJson = False,
) -> None:
    """Run a local stand-in for Roark that fails on demand and remembers what it received."""
    from roark_sandbox.server import run

    options = SandboxOptions(
        host=host,
        port=port,
        path=path,
        token=token,
        latency_ms=latency_ms,
        jitter_ms=jitter_ms,
        fail=tuple(fail),
        limit=tuple(limit),
        refuse=tuple(refuse),
        scenario=scenario,
        seed=seed,
        dedup=not no_dedup,
        max_body_bytes=max_body,
        keep_payloads=keep_payloads,
        vapi_key=vapi_key,
        vapi_fail=tuple(vapi_fail),
    )
    try:
        run(options, as_json=as_json)
    except OSError as error:
        typer.echo(f"the sandbox can't listen on {host}:{port}: {error.strerror}. Choose another --port.", err=True)
        raise typer.Exit(1) from None
