"""Keeps in the ledger how this worker is set up: version, settings, and which token, by a mark that is not the token.

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

from roark_producer import operations
from roark_producer.ledger import Ledger
from roark_producer.logs import masked_text
from roark_producer.settings import FromEnvironment, variable_of
from roark_worker.roark import Token

_MOST_SETUPS = 100
_MARK_LENGTH = 8
_HEARD_EVERY_SECONDS = 10.0


class SetupNotes:
    """Notes the set-up when it is first asked to, and again when the token changes while the worker runs.

    That the worker lives, and how it is set up, it says every few seconds: `doctor` lays its own shell beside it.
    """

    def __init__(self, ledger: Ledger, token: Token, *settings: FromEnvironment, worker: str = "") -> None:
        self._worker = worker
        self._heard = 0.0
        self._ledger = ledger
        self._token = token
        self._facts = {"version": version("roark-ingest"), "settings": said_otherwise(*settings)}
        self._noted = b""

    def look(self) -> None:
        """Note the set-up if it is not noted yet.

        Raises LedgerUnavailable when Redis is away; it is noted the next time then.
        """
        found = msgspec.json.encode(self._facts | {"token": mark_of(self._token.current())}, order="sorted")
        if found != self._noted:
            self._ledger.run(operations.note_setup(found, started=not self._noted, most=_MOST_SETUPS))
            self._noted = found
        if self._worker and time.monotonic() - self._heard >= _HEARD_EVERY_SECONDS:
            self._ledger.run(operations.note_crew(self._worker, found))
            self._heard = time.monotonic()


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
