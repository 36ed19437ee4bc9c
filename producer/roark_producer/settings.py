"""The settings that producers need, read once from the environment (and from `.env`), validated, masked in print.

Every setting `x` is the variable `ROARK_INGEST_X`. A secret may also come from a file named by the variable
with `_FILE` behind it. Entry points build these models; nothing below them reads the environment.

A field that is a `constant` is no setting: nobody who runs this could decide it. It stands beside them, so that a test
can pass another value in; the environment cannot.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from dotenv import dotenv_values
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from roark_ledger.errors import ConfigurationError
from roark_ledger.keys import DEFAULT_PREFIX
from roark_ledger.logs import never_show
from roark_ledger.moves.intake import REJECTED_BYTES
from roark_ledger.server.durability import wanted_replicas
from roark_ledger.server.redis_url import BROKER_SETTING, REDIS_SETTING, parse_redis_url
from roark_producer.secret_texts import secret_in_file, tidied
from roark_producer.vapi.properties import PropertyRules, Scalar

SHORTEST_PART = 16
"""Characters that a secret beside others needs: a piece of one that has a comma in it would let strangers in."""


NO_DOT_ENV = "ROARK_INGEST_NO_DOT_ENV"
"""`up` sets it for its parts: their settings of `.env` are in their environment, others' secrets are not."""


def dot_env() -> dict[str, str | None]:
    """Return what stands in `.env`, whose settings count beside those of the environment; nothing, if told so."""
    return {} if os.environ.get(NO_DOT_ENV) else dict(dotenv_values(".env"))


def constant(value: float, **limits: Any) -> Any:
    """Return a field that only a program can set, such as a test."""
    return Field(value, json_schema_extra={"constant": True}, **limits)


def is_constant(field: FieldInfo) -> bool:
    """Whether a field is a constant, and no setting."""
    return bool(isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("constant"))


def settings_of(model: type[BaseSettings]) -> dict[str, FieldInfo]:
    """Return the fields of a model that are settings."""
    return {name: field for name, field in model.model_fields.items() if not is_constant(field)}


class SecretFiles(PydanticBaseSettingsSource):
    """Reads secrets from the files that `…_FILE` variables name."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Return the file's content, or None where no such variable is set."""
        found = secret_in_file(variable_of(self.settings_cls, field_name))
        return found, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every secret that has a file."""
        secrets = {
            name for name, field in self.settings_cls.model_fields.items() if "SecretStr" in str(field.annotation)
        }
        found = {name: self.get_field_value(None, name)[0] for name in secrets}
        return {alias_or(self.settings_cls, k): v for k, v in found.items() if v is not None}


def alias_or(model: type[BaseSettings], name: str) -> str:
    """Return the name by which a field is given to its model."""
    alias = model.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else name


def variable_of(model: type[BaseSettings], name: str) -> str:
    """Return the environment variable of a field."""
    alias = model.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"{model.model_config.get('env_prefix', '')}{name}".upper()


class _WithoutConstants(PydanticBaseSettingsSource):
    def __init__(self, source: PydanticBaseSettingsSource) -> None:
        super().__init__(source.settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return what the source has for a field."""
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        """Return what the source has, without what somebody set of the constants."""
        fields = self.settings_cls.model_fields
        return {n: value for n, value in self._source().items() if n not in fields or not is_constant(fields[n])}


class FromEnvironment(BaseSettings):
    """A settings model that reads the environment, `.env` and secret files, and ignores what it does not know."""

    model_config = SettingsConfigDict(
        env_prefix="ROARK_INGEST_",
        env_file=".env",
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
            never_show(*(piece for secret in vars(self).values() for piece in _pieces(secret)))
        except ValidationError as error:
            raise ConfigurationError(_in_words(type(self), error)) from None
        except SettingsError as error:
            # What should be JSON and is not. Which setting it was is told in the text only.
            named = re.search(r'field "(\w+)"', str(error))
            variable = variable_of(type(self), named[1]) if named else "settings"
            raise ConfigurationError(f"{variable}: is not valid JSON") from None

    @field_validator("*")
    @classmethod
    def _tidy_secret(cls, value: Any, field: ValidationInfo) -> Any:
        if not isinstance(value, SecretStr):
            return value
        is_webhooks = field.field_name == "vapi_secret"
        return SecretStr(tidied(value.get_secret_value(), has_lines=is_webhooks, keeps_blanks=is_webhooks))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Put secret files behind the environment: a variable set directly wins."""
        read = (env_settings,) if os.environ.get(NO_DOT_ENV) else (env_settings, dotenv_settings)
        return (init_settings, *map(_WithoutConstants, read), SecretFiles(settings_cls))


def _pieces(value: Any) -> tuple[str, ...]:
    # What an error may repeat of a secret: all of it, or what stands in front of a URL's host.
    if not isinstance(value, SecretStr):
        return ()
    text = value.get_secret_value()
    user, at, _ = text.partition("://")[2].rpartition("@")
    return (text, user, *user.split(":", 1)[1:]) if at else (text,)


def _in_words(model: type[BaseSettings], error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_input=False, include_url=False):
        name = str(problem["loc"][0]) if problem["loc"] else "settings"
        variable = variable_of(model, name) if name in model.model_fields else name
        lines.append(f"{variable}: {problem['msg']}")
    return "; ".join(lines)


class IngestSettings(FromEnvironment):
    """What every part needs: where the ledger is, what it promises, what is added to reports."""

    redis_url: SecretStr | None = Field(None, description="Redis for ledger and broker; none: the embedded server")
    broker_url: SecretStr | None = Field(
        None, description="separate Redis as Celery's broker; none: the ledger's, unless that is a cluster"
    )
    data_dir: Path = Field(Path(".roark-ingest"), description="folder for the embedded server's files and the spool")
    prefix: str = Field(DEFAULT_PREFIX, pattern=r"^[A-Za-z0-9_.-]{1,64}$", description="prefix of all Redis keys")
    durability: str = Field(
        "fsync",
        description="what a stored report survives: fsync (a crash), replicated:N (a lost server), memory (neither)",
    )
    revisions: Literal["record", "upload"] = Field(
        "record", description="newer reports of a delivered call: only record them, or upload them, too"
    )
    # So many ready reports wake one more worker, and each doubling another.
    reports_per_wakeup: int = constant(64, ge=1)
    max_report_bytes: int = Field(25_000_000, ge=1000, description="largest report that is accepted")
    # Entries in the rejected bin, at most: its bytes are what people bound, but many tiny entries take memory, too.
    rejected_max: int = constant(100_000, ge=1)
    rejected_max_bytes: int = Field(
        REJECTED_BYTES,
        ge=1_000_000,
        description="Redis memory for the rejected bin, at most (compressed); the oldest entries are dropped first",
    )
    properties: dict[str, Scalar] = Field({}, description="properties added to every report (JSON object)")
    properties_from_query: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="webhook query parameters to use as properties, comma-separated"
    )
    properties_from_report: dict[str, str] = Field(
        {},
        description='properties read from the report (JSON object of name to path): {"tenant":"call.metadata.tenant"}',
    )
    traces: Literal["off", "on"] = Field(
        "off", description="send OpenTelemetry traces to OTEL_EXPORTER_OTLP_ENDPOINT; needs roark-ingest[otel]"
    )
    console_url: str = Field(
        "",
        pattern=r"^(https?://[^\s/?#]+[^\s?#]*)?$",
        description="address at which people reach the console, for links in alerts and in Flower",
    )
    log_format: Literal["console", "json"] = Field("console", description="console or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")

    @field_validator("redis_url", "broker_url")
    @classmethod
    def _readable_url(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            if value and (url := value.get_secret_value()):
                parse_redis_url(url, "")
        except ConfigurationError as error:
            raise ValueError(str(error).strip()) from None
        return value

    @field_validator("properties_from_query", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("durability")
    @classmethod
    def _known_promise(cls, value: str) -> str:
        try:
            wanted_replicas(value)
        except ConfigurationError as error:
            raise ValueError(str(error)) from None
        return value

    @property
    def broker_setting(self) -> str:
        """The variable that names the broker."""
        return BROKER_SETTING if self.broker_url else REDIS_SETTING

    @property
    def spool_folder(self) -> Path:
        """Where reports wait that the ledger could not take."""
        return self.data_dir / "spool"

    def property_rules(self) -> PropertyRules:
        """Return what is added to each report."""
        return PropertyRules(self.properties, self.properties_from_query, self.properties_from_report)


class WebhookSettings(FromEnvironment):
    """What the webhook listens on and demands of a sender."""

    vapi_secret: SecretStr | None = Field(
        None,
        description="secret that Vapi must send; several while you rotate it, one per line or comma-separated, each "
        "with at least 16 characters",
    )
    webhook_host: str = Field("127.0.0.1", description="address the webhook listens on")
    webhook_port: int = Field(8787, ge=0, le=65535, description="port the webhook listens on")
    webhook_processes: int = Field(0, ge=0, description="webhook processes; 0: one per core, fewer if memory is short")
    webhook_metrics_host: str = Field("127.0.0.1", description="address of the webhook's /metrics")
    webhook_metrics_port: int = Field(8789, ge=0, le=65535, description="port of the webhook's /metrics; 0: none")
    # However many ask for the page, its text is made once in so many seconds.
    metrics_fresh_seconds: float = constant(1.0, ge=0)
    webhook_path: str = Field("/vapi", pattern="^/", description="path Vapi posts to")
    webhook_body_seconds: float = Field(15, gt=0, description="timeout for receiving a body (then 408)")
    spool: bool = Field(
        True, description="spool reports to this machine's disk while Redis is unreachable or full: on, off"
    )
    spool_max_bytes: int = Field(
        1_000_000_000, ge=1_000_000, description="largest spool; when it is full, reports are refused (503)"
    )
    webhook_token_header: str = Field("X-Vapi-Secret", description="header that contains the secret")
    webhook_hmac: Literal["off", "sha256", "sha512", "sha1"] = Field(
        "off", description="require a signature made with the secret: off, sha256, sha512 or sha1"
    )
    webhook_signature_header: str = Field("x-signature", description="Vapi's signatureHeader")
    webhook_signature_prefix: str = Field("", description="Vapi's signaturePrefix, such as sha256=")
    webhook_signature_encoding: Literal["hex", "base64"] = Field("hex", description="Vapi's signatureEncoding")
    webhook_timestamp_header: str = Field("x-timestamp", description="Vapi's timestampHeader; empty: none")
    # Oldest signature that is accepted.
    webhook_timestamp_seconds: int = constant(300, ge=1)
    webhook_message_id_header: str = Field("svix-id", description="Vapi's messageIdHeader, for {svix-id}")
    webhook_payload_format: str = Field("{timestamp}.{body}", description="Vapi's payloadFormat")
    webhook_secret_is_base64: bool = Field(False, description="Vapi's secretIsBase64")

    def secrets(self) -> tuple[str, ...]:
        """Return the valid secrets; an empty one is never among them.

        The whole text is always valid, since a comma may be part of a secret. So are its lines, and what stands between
        commas, where each part is too long to be guessed.
        """
        text, lines = self._secret_lines()
        parts = [part for _, parts in lines for part in parts if len(part) >= SHORTEST_PART]
        return tuple(dict.fromkeys((*text, *(line for line, _ in lines), *parts)))

    def short_line(self) -> int:
        """Return the number of the first line, of several, that is too short to be a secret of its own; 0: none."""
        _, lines = self._secret_lines()
        return next((at for at, (line, _) in enumerate(lines, 1) if len(lines) > 1 and len(line) < SHORTEST_PART), 0)

    def mixed_parts(self) -> bool:
        """Say whether commas part long pieces from short ones: several secrets, or one with a comma?"""
        return any(len({len(part) >= SHORTEST_PART for part in parts}) > 1 for _, parts in self._secret_lines()[1])

    def is_one_with_commas(self) -> bool:
        """Say whether what stands between commas is too short for secrets, so that the text is taken for one."""
        return any(len(part) < SHORTEST_PART for _, parts in self._secret_lines()[1] for part in parts)

    def _secret_lines(self) -> tuple[list[str], list[tuple[str, list[str]]]]:
        text = self.vapi_secret.get_secret_value().strip() if self.vapi_secret else ""
        if not text.strip(", \t\r\n"):
            return [], []
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return [text], [(line, _between_commas(line)) for line in lines]


def _between_commas(line: str) -> list[str]:
    return [part.strip() for part in line.split(",") if part.strip()] if "," in line else []
