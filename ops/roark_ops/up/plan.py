"""What one `up` will run, decided from the options and the settings before anything is started.

--sandbox                  reports go to a local stand-in, started here
no token, no --sandbox     the same, and it is said loudly: nothing is sent to Roark
a token, no --sandbox      reports go to Roark; made-up ones are sent only if --demo says so
"""

from dataclasses import dataclass
from pathlib import Path

from roark_ledger.errors import ConfigurationError
from roark_ledger.server.redis_url import without_credentials
from roark_ops.up.ports import Port, choose_port
from roark_producer.servers import secret_text
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.webhook.door.gate import is_loopback
from roark_worker.settings import WorkerSettings

DEFAULT_WEBHOOK_PORT = 8787
DEFAULT_SANDBOX_PORT = 4010
DEFAULT_FLOWER_PORT = 5555
DEFAULT_CONSOLE_PORT = 5656
DEFAULT_DATA_DIR: Path = IngestSettings.model_fields["data_dir"].default
LOOPBACK = "127.0.0.1"
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 named, not bound


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for on the command line; None where nothing was said."""

    sandbox: bool = False
    demo: bool | None = None
    reports: int = 300
    rate: float = 60.0
    once: bool = False
    flower: bool | None = None
    webhook_port: int | None = None
    sandbox_port: int | None = None
    flower_port: int | None = None
    console: bool | None = None
    console_port: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of all parts, read once."""

    ingest: IngestSettings
    webhook: WebhookSettings
    worker: WorkerSettings

    @property
    def has_token(self) -> bool:
        """Whether there is a token for Roark."""
        return bool(secret_text(self.worker.roark_api_bearer_token))


@dataclass(frozen=True, slots=True)
class UpPlan:
    """What will be run. A port is None where its part is not run; `redis_url` is None for the embedded server."""

    redis_url: str | None
    prefix: str
    webhook: Port
    webhook_host: str
    webhook_path: str
    sandbox: Port | None
    flower: Port | None
    console: Port | None
    roark_url: str
    upload_path: str
    sandbox_for_want_of_a_token: bool
    demo: bool
    reports: int
    rate: float
    once: bool
    drain_seconds: float

    @property
    def webhook_base(self) -> str:
        """Where this machine reaches the webhook."""
        return _url(_EVERY_ADDRESS.get(self.webhook_host, self.webhook_host), self.webhook)

    @property
    def webhook_url(self) -> str:
        """Where Vapi's messages are posted to."""
        return self.webhook_base + self.webhook_path

    @property
    def sandbox_url(self) -> str | None:
        """Where the sandbox listens."""
        return _url(LOOPBACK, self.sandbox) if self.sandbox else None

    @property
    def flower_url(self) -> str | None:
        """Where Flower listens."""
        return _url(LOOPBACK, self.flower) if self.flower else None

    @property
    def console_url(self) -> str | None:
        """Where the console listens."""
        return _url(LOOPBACK, self.console) if self.console else None

    def hints(self, data_dir: Path) -> dict[str, str]:
        """Return the variables without which another terminal's commands would look at another ledger."""
        if self.redis_url:
            return {"ROARK_INGEST_PREFIX": self.prefix} if self.sandbox else {}
        return {} if data_dir == DEFAULT_DATA_DIR.absolute() else {"ROARK_INGEST_DATA_DIR": str(data_dir)}


def make_plan(options: Options, settings: Settings) -> UpPlan:
    """Decide.

    Raises ConfigurationError when what was asked for cannot be, PortTaken among it.
    """
    sandboxed = options.sandbox or not settings.has_token
    host = settings.webhook.webhook_host
    redis_url = secret_text(settings.ingest.redis_url)
    demo = options.demo if options.demo is not None else options.sandbox
    if options.once and not demo:
        raise ConfigurationError("--once exits after the demo, but there is no demo: add --demo, or leave out --once")
    if demo and settings.webhook.webhook_hmac != "off":
        raise ConfigurationError(
            "the demo's sample reports are not signed, but ROARK_INGEST_WEBHOOK_HMAC requires signatures. Set it to "
            "off for the demo, or add --no-demo"
        )
    return UpPlan(
        redis_url=redis_url,
        prefix=_prefix(settings.ingest.prefix, apart=sandboxed and redis_url is not None),
        webhook=_webhook_port(options, settings.webhook),
        webhook_host=host,
        webhook_path=settings.webhook.webhook_path,
        sandbox=_port("sandbox", options.sandbox_port, DEFAULT_SANDBOX_PORT) if sandboxed else None,
        flower=_port("flower", options.flower_port, DEFAULT_FLOWER_PORT) if _with_flower(options, host) else None,
        console=_port("console", options.console_port, DEFAULT_CONSOLE_PORT) if _with_console(options, host) else None,
        roark_url=settings.worker.roark_base_url,
        upload_path=settings.worker.upload_path,
        sandbox_for_want_of_a_token=sandboxed and not options.sandbox,
        demo=demo,
        reports=options.reports,
        rate=options.rate,
        once=options.once,
        drain_seconds=settings.worker.shutdown_seconds,
    )


def _prefix(prefix: str, *, apart: bool) -> str:
    # On a server of one's own the sandbox's reports must not meet the real ones, nor another machine's workers.
    return f"{prefix}-sandbox" if apart else prefix


def _with_flower(options: Options, webhook_host: str) -> bool:
    # Flower asks nobody for a password: by default it is for a machine that serves itself only.
    return options.flower if options.flower is not None else is_loopback(webhook_host) and not options.once


def _with_console(options: Options, webhook_host: str) -> bool:
    # Without users it serves this machine alone, and acts for whoever is on it.
    return options.console if options.console is not None else is_loopback(webhook_host) and not options.once


def _webhook_port(options: Options, settings: WebhookSettings) -> Port:
    asked_for = options.webhook_port is not None or "webhook_port" in settings.model_fields_set
    wanted = settings.webhook_port if options.webhook_port is None else options.webhook_port
    option = "--webhook-port (or ROARK_INGEST_WEBHOOK_PORT)"
    return choose_port("webhook", settings.webhook_host, wanted, asked_for=asked_for, option=option)


def _port(part: str, wanted: int | None, default: int) -> Port:
    number = default if wanted is None else wanted
    return choose_port(part, LOOPBACK, number, asked_for=wanted is not None, option=f"--{part}-port")


def _url(host: str, port: Port) -> str:
    return f"http://[{host}]:{port.number}" if ":" in host else f"http://{host}:{port.number}"


def server_in_words(redis_url: str) -> str:
    """Name a server without what is secret in its URL."""
    return without_credentials(redis_url).partition("?")[0]


def log_of(data_dir: Path, name: str) -> Path:
    """Return the path of a part's log."""
    return data_dir / "logs" / f"{name}.log"
