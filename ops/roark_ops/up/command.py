"""The command `roark-ingest up`: its options, and how its errors are told."""

from typing import Annotated

import typer

from roark_ops.called import lacking
from roark_ops.cli.terminal.running import need

_PORT = {"min": 1, "max": 65535}


def up(
    *,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Deliver to a local Roark stand-in instead of the real Roark.")
    ] = False,
    demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo",
            help="Send sample reports through the webhook and show them being delivered. On by default with --sandbox; "
            "without --sandbox they go to the real Roark.",
        ),
    ] = None,
    reports: Annotated[int, typer.Option(min=1, help="Number of reports in the demo.")] = 300,
    rate: Annotated[float, typer.Option(min=0, help="Demo reports per second (0: as fast as possible).")] = 60,
    once: Annotated[
        bool, typer.Option("--once", help="Drain and exit after the demo (exit code 1: not all arrived).")
    ] = False,
    webhook_port: Annotated[
        int | None, typer.Option(**_PORT, help="The webhook's port.", show_default="8787, or a free one")
    ] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(**_PORT, help="The sandbox's port.", show_default="4010, or a free one")
    ] = None,
    flower: Annotated[
        bool | None,
        typer.Option(
            "--flower/--no-flower", help="Run Flower. On by default if the webhook listens on this machine only."
        ),
    ] = None,
    flower_port: Annotated[
        int | None, typer.Option(**_PORT, help="Flower's port.", show_default="5555, or a free one")
    ] = None,
    console: Annotated[
        bool | None,
        typer.Option(
            "--console/--no-console",
            help="Run the console. On by default if the webhook listens on this machine only.",
        ),
    ] = None,
    console_port: Annotated[
        int | None, typer.Option(**_PORT, help="The console's port.", show_default="5656, or a free one")
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the demo's results as JSON, and everything else to stderr.")
    ] = False,
) -> None:
    """Run the whole pipeline on this machine: server, webhook, workers, and, without a token, a sandbox.

    Data is stored in ROARK_INGEST_DATA_DIR (./.roark-ingest); the next run continues with it.

    Set ROARK_INGEST_REDIS_URL to use your own Redis instead of the embedded server.

    Ctrl-C accepts no new reports, finishes uploads, and stops. Anything left waits for the next run.
    """
    import asyncio

    if flower is None and lacking("flower"):
        flower = False
    if console is None and lacking("console", "webhook"):
        console = False
    need("worker", "webhook", *(["flower"] if flower else []), *(["console"] if console else []))

    from roark_ops.up.pipeline import run
    from roark_ops.up.plan import Options, Settings
    from roark_ops.up.told.screen import Screen
    from roark_producer.settings import IngestSettings, WebhookSettings
    from roark_worker.settings import WorkerSettings

    options = Options(
        sandbox=sandbox,
        demo=demo,
        reports=reports,
        rate=rate,
        once=once,
        flower=flower,
        webhook_port=webhook_port,
        sandbox_port=sandbox_port,
        flower_port=flower_port,
        console=console,
        console_port=console_port,
    )
    settings = Settings(IngestSettings(), WebhookSettings(), WorkerSettings())
    if not settings.ingest.redis_url:
        need("embedded")
    raise typer.Exit(asyncio.run(run(options, settings, Screen(json=json))))
