"""What each part finds in its environment: every setting, of the secrets its own only, and the Redis user it is.

1. The settings of `.env` are put beside those of the environment, which count more. The parts do not read the file: it
   holds the secrets of all of them.
2. What `up` decided is put on top. In front of the sandbox the secrets and URLs of the real Roark and the real Vapi are
   taken out of reach.
3. Each part gets this without what is secret and another's; on the embedded server it gets the URL of its own user.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from roark_ledger.server.redis_url import REDIS_SETTING
from roark_ops.env_example import variables
from roark_ops.roles import RedisRole
from roark_ops.up.plan import LOOPBACK, UpPlan
from roark_ops.up.server.embedded import home_of
from roark_producer.gone_settings import WITHOUT_VALUE
from roark_producer.settings import NO_DOT_ENV, dot_env

SANDBOX_TOKEN = "sandbox"  # noqa: S105 opens nothing

_SECRETS = {
    "webhook": ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_VAPI_SECRET"),
    "worker": (
        *("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_API_BEARER_TOKEN"),
        *("VAPI_API_KEY", "ROARK_INGEST_ALERT_URL"),
    ),
    "flower": ("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "FLOWER_BASIC_AUTH"),
    "console": (
        *("ROARK_INGEST_REDIS_URL", "ROARK_INGEST_BROKER_URL", "ROARK_INGEST_CONSOLE_PASSWORD"),
        "VAPI_API_KEY",
    ),
    "sandbox": (),
    "valkey": (),
    "a person": ("ROARK_INGEST_REPLAY_TO_TOKEN",),
}
"""What is secret in each part's environment, or stands in a file that it names."""
ROLES = {
    "webhook": RedisRole.PRODUCER,
    "worker": RedisRole.WORKER,
    "flower": RedisRole.VIEWER,
    "console": RedisRole.OPERATOR,
}
"""Which user of the embedded server each part is."""


@dataclass(frozen=True, slots=True)
class Environments:
    """The environments of the parts. `urls` are those of the embedded server's users, none on a server of one's own."""

    base: Mapping[str, str]
    urls: Mapping[RedisRole, str] = field(default_factory=dict)

    def of(self, name: str) -> dict[str, str]:
        """Return the environment of a part."""
        own = set(_SECRETS[name])
        others = {secret for secrets in _SECRETS.values() for secret in secrets} - own
        found = {key: value for key, value in self.base.items() if key.upper().removesuffix("_FILE") not in others}
        if self.urls and name in ROLES:
            found[REDIS_SETTING] = self.urls[ROLES[name]]
        return found


def environments(plan: UpPlan, data_dir: Path, base: Mapping[str, str] = os.environ) -> Environments:
    """Return the environments of the parts, before there is a server."""
    found = with_dot_env(base) | {NO_DOT_ENV: "1"}
    home = home_of(data_dir, for_sandbox=plan.sandbox is not None)
    found |= {"ROARK_INGEST_DATA_DIR": str(home), "ROARK_INGEST_PREFIX": plan.prefix}
    # A log is written as things happen, and without boxes around an error.
    found |= {"PYTHONUNBUFFERED": "1", "TYPER_STANDARD_TRACEBACK": "1"}
    if plan.console_url:
        # Users and links are those of this folder, whichever ledger is looked at.
        found.setdefault("ROARK_INGEST_CONSOLE_USERS", str(data_dir / "console-users"))
        found.setdefault("ROARK_INGEST_CONSOLE_URL", plan.console_url)
    if plan.sandbox_url:
        for secret in ("ROARK_API_BEARER_TOKEN", "VAPI_API_KEY"):
            found.pop(f"{secret}_FILE", None)
            found[secret] = SANDBOX_TOKEN
        # Real calls, compared with the sandbox's, would all be missing, and could be brought in.
        found |= {"ROARK_BASE_URL": plan.sandbox_url, "VAPI_BASE_URL": plan.sandbox_url}
        # A proxy for the way out must not be asked for the way to this machine.
        for name in ("no_proxy", "NO_PROXY"):
            found[name] = ",".join(filter(None, (found.get(name), LOOPBACK)))
    return Environments(found)


def with_dot_env(base: Mapping[str, str]) -> dict[str, str]:
    """Return an environment with the settings of `.env` that it lacks, each by the name in which it is written here."""
    known = variables() | set(WITHOUT_VALUE)
    # A setting's name may be written in small letters, too; the file's other variables are not ours.
    found = {name.upper() if name.upper() in known else name: value for name, value in base.items()}
    there = {name.upper(): value for name, value in dot_env().items() if value is not None}
    return {name: value for name, value in there.items() if name in known} | found
