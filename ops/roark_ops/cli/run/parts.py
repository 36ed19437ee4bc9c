"""The parts of the pipeline, one process each: `webhook`, `worker`, `flower`."""

import os
from typing import Annotated

import typer

from roark_ops.cli.terminal.running import FAILED, fail, need, say

LogJson = Annotated[bool, typer.Option("--json", help="Log JSON lines (ROARK_INGEST_LOG_FORMAT=json).")]
Host = Annotated[
    str | None,
    typer.Option(help="Address to listen on.", show_default="ROARK_INGEST_WEBHOOK_HOST, 127.0.0.1"),
]
Port = Annotated[
    int | None,
    typer.Option(
        min=0, max=65535, help="Port to listen on (0: any free port).", show_default="ROARK_INGEST_WEBHOOK_PORT, 8787"
    ),
]
Processes = Annotated[
    int | None,
    typer.Option(min=0, help="Worker processes (0: one per core).", show_default="ROARK_INGEST_PROCESSES, 0"),
]
WebhookProcesses = Annotated[
    int | None,
    typer.Option(min=0, help="Processes (0: one per core).", show_default="ROARK_INGEST_WEBHOOK_PROCESSES, 0"),
]
MaxInFlight = Annotated[
    int | None,
    typer.Option(
        min=1, help="Concurrent uploads per process, at most.", show_default="ROARK_INGEST_MAX_IN_FLIGHT, 256"
    ),
]


def webhook(
    *, host: Host = None, port: Port = None, processes: WebhookProcesses = None, log_json: LogJson = False
) -> None:
    """Run the webhook that receives reports from Vapi (Vapi's server URL): one process per core, restarted if it dies.

    It answers 200 only once a report is stored durably. Without ROARK_INGEST_VAPI_SECRET it listens on this machine
    only. Metrics of all processes are at http://127.0.0.1:8789/metrics (ROARK_INGEST_WEBHOOK_METRICS_HOST,
    ROARK_INGEST_WEBHOOK_METRICS_PORT).
    """
    need("webhook")
    log_as(log_json)
    export_variable("ROARK_INGEST_WEBHOOK_HOST", host)
    export_variable("ROARK_INGEST_WEBHOOK_PORT", port)
    export_variable("ROARK_INGEST_WEBHOOK_PROCESSES", processes)
    from roark_producer.settings import IngestSettings, WebhookSettings
    from roark_producer.webhook.serving.server import run

    settings = WebhookSettings()
    try:
        run(IngestSettings(), settings)
    except OSError as error:
        fail(f"the webhook can't listen on {settings.webhook_host}:{settings.webhook_port}: {error.strerror}.")


def worker(*, processes: Processes = None, max_in_flight: MaxInFlight = None, log_json: LogJson = False) -> None:
    """Run the workers that deliver reports to Roark: one Celery process per core, restarted if it dies.

    Ctrl-C finishes the uploads under way, then stops. Metrics of all processes are at http://127.0.0.1:8788/metrics
    (ROARK_INGEST_METRICS_HOST, ROARK_INGEST_METRICS_PORT).
    """
    need("worker")
    log_as(log_json)
    # The children read their settings from the environment, as everything else does.
    export_variable("ROARK_INGEST_PROCESSES", processes)
    export_variable("ROARK_INGEST_MAX_IN_FLIGHT", max_in_flight)
    from roark_ledger.logs import set_up_logging
    from roark_ops.access import Access
    from roark_worker.process.supervisor import Supervisor
    from roark_worker.settings import WorkerSettings

    settings = WorkerSettings()
    settings.require_token()
    with Access.from_env() as access:
        set_up_logging(access.settings.log_format, access.settings.log_level)
        if Supervisor(settings, access.ledger).run():
            raise typer.Exit(FAILED)


FlowerHost = Annotated[str, typer.Option(help="Address to listen on.")]
FlowerPort = Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")]
BasicAuth = Annotated[
    str | None,
    typer.Option(
        envvar="FLOWER_BASIC_AUTH",
        metavar="USER:PASSWORD",
        help="Login for the page. Prefer the variable or FLOWER_BASIC_AUTH_FILE: options show in process lists.",
        show_default=False,
    ),
]


def flower(
    *, host: FlowerHost = "127.0.0.1", port: FlowerPort = 5555, basic_auth: BasicAuth = None, log_json: LogJson = False
) -> None:
    """Run Flower, a web page that shows workers, drains and reports.

    Search its task list for a call ID. It stores what it has seen in ROARK_INGEST_DATA_DIR. It is read-only unless
    FLOWER_READ_ONLY=false. All other FLOWER_* variables work as Flower documents them.
    """
    need("flower")
    log_as(log_json)
    from roark_ops.access import Access
    from roark_producer.secret_texts import tidied_secret
    from roark_producer.webhook.door.gate import is_loopback

    basic_auth = tidied_secret("FLOWER_BASIC_AUTH", basic_auth)
    if not is_loopback(host) and not basic_auth:
        fail(
            f"without a password, anyone who can reach {host} would see every call and the workers' settings. Set "
            "FLOWER_BASIC_AUTH=USER:PASSWORD or FLOWER_BASIC_AUTH_FILE, or listen on 127.0.0.1."
        )
    if basic_auth and not all(all(each.partition(":")[::2]) for each in basic_auth.split(",")):
        fail("FLOWER_BASIC_AUTH must be USER:PASSWORD, or several of them separated by commas.")
    with Access.from_env() as access:
        data_dir = access.settings.data_dir
        _see_that_flower_can_listen(access.broker_url, access.settings.broker_setting)
    from roark_ops.cli.run.flowering import become_flower, foreign
    from roark_ops.up.datadir import make_data_dir

    make_data_dir(data_dir)
    if found := foreign(data_dir / "flower"):
        fail(f"{found[0]} belongs to another user, or is a link, and is not read. Remove it.")
    become_flower(host, port, data_dir / "flower", basic_auth)


def _see_that_flower_can_listen(broker_url: str, setting: str) -> None:
    from roark_ledger.errors import LedgerUnavailable
    from roark_producer.proving import prove_broker

    try:
        proven = prove_broker(broker_url, setting, only_talk=True)
    except LedgerUnavailable as error:
        # It may come later; Flower looks again.
        say(f"Flower is waiting for the broker: {error}.")
        return
    if proven.silent:
        fail(f"Flower needs Redis channels: {proven.silent}.")


def log_as(log_json: bool) -> None:
    """Have everything below log as JSON, where that is wanted."""
    export_variable("ROARK_INGEST_LOG_FORMAT", "json" if log_json else None)


def export_variable(name: str, value: object) -> None:
    """Set a variable for what reads its settings below; None leaves it as it is."""
    if value is not None:
        os.environ[name] = str(value)
