"""The settings for Vapi's API: which key, which region, and how the calls there are compared with those that are here.

Read like all others (see `roark_producer.settings`); `VAPI_API_KEY` and `VAPI_BASE_URL` have Vapi's own names.
"""

from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from roark_ledger.errors import ConfigurationError
from roark_ledger.urls import base_url
from roark_producer.settings import FromEnvironment
from roark_worker.settings import is_usable_token


class VapiSettings(FromEnvironment):
    """How `reconcile` reads Vapi's list of calls, by hand and in the workers."""

    vapi_api_key: SecretStr | None = Field(
        None, validation_alias="VAPI_API_KEY", description="Vapi's private key, for comparing calls; none: not compared"
    )
    vapi_base_url: str = Field(
        "https://api.vapi.ai",
        validation_alias="VAPI_BASE_URL",
        description="base URL of Vapi's API; in the EU https://api.eu.vapi.ai",
    )
    reconcile_minutes: float = Field(
        15, ge=0, description="how often a worker compares Vapi's calls with the reports here; 0: never"
    )
    reconcile_settle_minutes: float = Field(
        15, ge=0, description="how long after a call's end its report may come before it counts as missing"
    )
    reconcile_days: float = Field(14, gt=0, description="how far back calls are compared (how long Vapi keeps them)")
    reconcile_assistants: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="compare only calls of these assistant IDs, comma-separated; none: all calls"
    )
    backfill: bool = Field(False, description="rebuild missing reports from Vapi's list and deliver them: on, off")

    @field_validator("reconcile_assistants", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("vapi_base_url")
    @classmethod
    def _usable_url(cls, value: str) -> str:
        return base_url(value, carrying="key")

    @field_validator("vapi_api_key")
    @classmethod
    def _none_where_empty(cls, value: SecretStr | None) -> SecretStr | None:
        return value if value and value.get_secret_value() else None

    def require_key(self) -> SecretStr:
        """Return the key.

        Raises ConfigurationError when there is none, or none that a header can carry.
        """
        if self.vapi_api_key is None:
            raise ConfigurationError(
                "neither VAPI_API_KEY nor VAPI_API_KEY_FILE is set. Set one to your organisation's private key (in "
                "Vapi's dashboard, under API Keys)"
            )
        if not is_usable_token(self.vapi_api_key.get_secret_value()):
            raise ConfigurationError(
                "VAPI_API_KEY is not a valid header value: it must be printable ASCII without spaces. Copy it again"
            )
        return self.vapi_api_key
