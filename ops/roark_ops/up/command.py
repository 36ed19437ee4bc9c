"""The command `roark-ingest up`: its options, and how its errors are told."""

from typing import Annotated

import typer

_PORT = {"min": 1, "max": 65535}


def up(
    *,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Deliver to a local stand-in for Roark instead of to Roark.")
    ] = False,
    demo: Annotated[
        bool | None,
        typer.Option(
            "--demo/--no-demo",
            help="Send made-up reports through the webhook and show them being delivered. On with --sandbox. "
            "Without it they would go to the real Roark.",
        ),
    ] = None,
    reports: Annotated[int, typer.Option(min=1, help="How many reports the demo sends.")] = 300,
    rate: Annotated[float, typer.Option(min=0, help="How many a second; 0: as fast as they are taken.")] = 60,
    once: Annotated[
        bool, typer.Option("--once", help="Drain and end after the demo; exit code 1: not all arrived.")
    ] = False,
    webhook_port: Annotated[
        int | None, typer.Option(**_PORT, help="The webhook's port.", show_default="8787, or a free one")
    ] = None,
    sandbox_port: Annotated[
        int | None, typer.Option(**_PORT, help="The sandbox's port.", show_default="4010, or a free one")
    ] = None,
    flower: Annotated[
        bool | None,
        typer.Option("--flower/--no-flower", help="Run Flower. On where the webhook serves this machine only."),
    ] = None,
    flower_port: Annotated[
        int | None, typer.Option(**_PORT, help="Flower's port.", show_default="5555, or a free one")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the demo's figures as JSON, the rest to stderr.")] = False,
) -> None:
    """Run the whole pipeline on this machine: server, webhook, worker, and a sandbox where there is no token.

    Its data lies in ROARK_INGEST_DATA_DIR (./.roark-ingest); the next run goes on with it.

    With ROARK_INGEST_REDIS_URL that server is used instead of one of our own.

    Ctrl-C drains: nothing more is taken in, uploads end, the rest waits for the next run.
    """
    import asyncio

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
    )
    settings = Settings(IngestSettings(), WebhookSettings(), WorkerSettings())
    raise typer.Exit(asyncio.run(run(options, settings, Screen(json=json))))
