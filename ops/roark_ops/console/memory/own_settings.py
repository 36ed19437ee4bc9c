"""The settings of the console's own process: read once, because it takes 10 ms and they do not change."""

from roark_ops.console.settings import ConsoleSettings
from roark_producer.settings import FromEnvironment, IngestSettings, WebhookSettings, settings_of, variable_of
from roark_worker.settings import WorkerSettings


def own_settings() -> list[tuple[str, str, bool]]:
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
