"""The settings of the console, and what follows from them: who may reach it, and from where."""

from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from roark_ledger.errors import ConfigurationError
from roark_producer.settings import FromEnvironment, constant
from roark_producer.webhook.door.gate import is_loopback

Network = IPv4Network | IPv6Network
SHORTEST_PASSWORD = 12


class ConsoleSettings(FromEnvironment):
    """Where the console listens, and who may use it."""

    console_host: str = Field("127.0.0.1", description="address the console listens on")
    console_port: int = Field(5656, ge=0, le=65535, description="port the console listens on")
    console_path: str = Field(
        "",
        pattern=r"^(/[A-Za-z0-9_.~-]+)*$",
        description="path below which a proxy serves the console, such as /console",
    )
    console_users: Path | None = Field(
        None, description="file of the console's users; none: DATA_DIR/console-users (`roark-ingest console user add`)"
    )
    console_password: SecretStr | None = Field(
        None, description="password of the user `admin`, at least 12 characters; better: a user for each person"
    )
    console_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="addresses of proxies that sign people in, comma-separated: 10.0.0.7,192.168.0.0/24"
    )
    console_proxy_header: str = Field(
        "X-Forwarded-User",
        description="header in which such a proxy names the user; a viewer, unless the users file says",
    )
    console_frames: str = Field(
        "",
        pattern=r"^[^;,\r\n]*$",
        description="sites that may show the console in a frame, such as https://grafana.example",
    )
    # Longer than a break, shorter than a shift; then the whole shift.
    idle_seconds: float = constant(3600.0, gt=0)
    longest_seconds: float = constant(12 * 3600.0, gt=0)

    @field_validator("console_proxies", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return tuple(ip_network(part.strip(), strict=False) for part in value.split(",") if part.strip())

    @field_validator("console_password")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value and 0 < len(value.get_secret_value()) < SHORTEST_PASSWORD:
            raise ValueError(f"must have at least {SHORTEST_PASSWORD} characters")
        return value

    def users_file(self, data_dir: Path) -> Path:
        """Return where the users stand."""
        return self.console_users or data_dir / "console-users"

    def require_door(self, *, has_users: bool) -> None:
        """Refuse to open to the network what asks nobody who they are.

        Raises ConfigurationError.
        """
        if not (is_loopback(self.console_host) or has_users or self.console_proxies):
            raise ConfigurationError(
                f"the console would let anyone who reaches {self.console_host} replay and discard reports. Add a user "
                "(roark-ingest console user add NAME --role admin), set ROARK_INGEST_CONSOLE_PASSWORD, or name the "
                "proxies that sign people in (ROARK_INGEST_CONSOLE_PROXIES). Or listen on 127.0.0.1"
            )
