"""*Health*: is everything set up as it should be, which workers are there, of which version, with which settings?"""

from starlette.responses import Response

from roark_ledger.moves import watch
from roark_ops.cli.views.status import audit_told, retention_told
from roark_ops.console.ask import Ask
from roark_ops.console.settings import ConsoleSettings
from roark_ops.doctor.check import Level
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, settings_of, variable_of
from roark_worker.settings import WorkerSettings

_NAMES = {"lane": "uploads"}


def page(ask: Ask) -> Response:
    """Answer with what is known at once; the checks follow."""
    snapshot = ask.stage.live.now().snapshot
    return ask.page(
        "health.html",
        snapshot=snapshot,
        examined=ask.stage.examining.last,
        names=_NAMES,
        Level=Level,
        audit=audit_told(snapshot),
        retention=[retention_told(kept, snapshot.now_ms) for kept in snapshot.retention],
        crew=sorted(ask.stage.ledger.run(watch.crew()).items()),
        settings=_settings(),
        now_ms=snapshot.now_ms,
        command="roark-ingest doctor",
    )


def checks(ask: Ask) -> Response:
    """Answer with the doctor's checks, made now."""
    examined = ask.stage.examining.now(again="again" in ask.query)
    template = "health_checks.html" if ask.is_part else "health_checked.html"
    return ask.page(
        template,
        examined=examined,
        names=_NAMES,
        Level=Level,
        now_ms=ask.stage.live.now().snapshot.now_ms,
        command="roark-ingest doctor",
    )


def _settings() -> list[tuple[str, str, bool]]:
    """Return the settings of this process: variable, value (never a secret), and whether it is the default."""
    found = []
    models: tuple[type[FromEnvironment], ...] = (IngestSettings, WebhookSettings, WorkerSettings, ConsoleSettings)
    for model in models:
        read = model()
        for name, field in settings_of(model).items():
            value, default = getattr(read, name), field.get_default(call_default_factory=True)
            is_secret = "SecretStr" in str(field.annotation)
            told = ("set" if value else "not set") if is_secret else _told(value)
            found.append((variable_of(model, name), told, value == default))
    return sorted(found, key=lambda row: (row[2], row[0]))


def _told(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)
