"""Keeps in the ledger how this worker is set up: version, settings, where it uploads to, and with which
token: by a mark that is not the token, and its last four characters.

When reports begin to die, `roark-ingest dlq groups` lays what changed just before beside them. The settings are those
that differ from their defaults; secrets and the machine's own paths are not among them.
"""

import hashlib
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from roark_ledger.ledger import Ledger
from roark_ledger.logs import masked_text
from roark_ledger.moves import upkeep
from roark_ledger.urls import without_secrets
from roark_producer.settings import FromEnvironment, variable_of
from roark_worker.settings import WorkerSettings
from roark_worker.upload.roark import Token

_MOST_SETUPS = 100
_MARK_LENGTH = 8
_HEARD_EVERY_SECONDS = 10.0
_ENDS_LENGTH, _LEAST_TOKEN = 4, 16


class SetupNotes:
    """Notes the set-up when it is first asked to, and again when the token changes while the worker runs.

    That the worker lives, and how it is set up, it says every few seconds: `doctor` lays its own shell beside it.
    """

    def __init__(self, ledger: Ledger, token: Token, *settings: FromEnvironment, worker: str = "") -> None:
        self._worker = worker
        self._heard = 0.0
        self._ledger = ledger
        self._token = token
        self._facts = {
            "version": version("roark-ingest"),
            "settings": said_otherwise(*settings),
            "url": next((shown_url(one.upload_url) for one in settings if isinstance(one, WorkerSettings)), ""),
        }
        self._noted = b""

    def look(self) -> None:
        """Note the set-up if it is not noted yet.

        Raises LedgerUnavailable when Redis is away; it is noted the next time then.
        """
        token = self._token.current()
        facts = self._facts | {"token": mark_of(token), "token_ends": token_ends(token)}
        found = msgspec.json.encode(facts, order="sorted")
        if found != self._noted:
            self._ledger.run(upkeep.note_setup(found, started=not self._noted, most=_MOST_SETUPS))
            self._noted = found
        if self._worker and time.monotonic() - self._heard >= _HEARD_EVERY_SECONDS:
            self._ledger.run(upkeep.note_crew(self._worker, found))
            self._heard = time.monotonic()


def token_ends(token: str) -> str:
    """Return the token's last four characters, by which people know it; "" where they would be a large part of it."""
    return token[-_ENDS_LENGTH:] if len(token) >= _LEAST_TOKEN else ""


def shown_url(url: str) -> str:
    """Return a URL without what may be secret in it: user, password and query."""
    return without_secrets(url)


def mark_of(token: str) -> str:
    """Return a mark that is another one for another token."""
    # 32 bits of a hash: enough to see that it is another token, of no use to find out which.
    return hashlib.sha256(b"roark-ingest token " + token.encode()).hexdigest()[:_MARK_LENGTH]


def said_otherwise(*models: FromEnvironment) -> dict[str, str]:
    """Return the settings that differ from their defaults; secrets and the machine's own paths are not among them."""
    found: dict[str, str] = {}
    for model in models:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if not isinstance(value, SecretStr | Path) and value != field.get_default(call_default_factory=True):
                found[variable_of(type(model), name)] = _text(value)
    return found


def _text(value: Any) -> str:
    return masked_text(value if isinstance(value, str) else msgspec.json.encode(value).decode())
