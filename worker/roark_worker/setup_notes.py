"""Keeps in the ledger how this worker is set up: version, settings, and which token, by a mark that is not the token.

When reports begin to die, `roark-ingest dlq groups` lays what changed just before beside them. The settings are those
that differ from their defaults; secrets and the machine's own paths are not among them.
"""

import hashlib
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


class SetupNotes:
    """Notes the set-up when it is first asked to, and again when the token changes while the worker runs."""

    def __init__(self, ledger: Ledger, token: Token, *settings: FromEnvironment) -> None:
        self._ledger = ledger
        self._token = token
        self._facts = {"version": version("roark-ingest"), "settings": _settings(settings)}
        self._noted = b""

    def look(self) -> None:
        """Note the set-up if it is not noted yet.

        Raises LedgerUnavailable when Redis is away; it is noted the next time then.
        """
        found = msgspec.json.encode(self._facts | {"token": _mark(self._token.current())}, order="sorted")
        if found != self._noted:
            self._ledger.run(operations.note_setup(found, started=not self._noted, most=_MOST_SETUPS))
            self._noted = found


def _mark(token: str) -> str:
    # 32 bits of a hash: enough to see that it is another token, of no use to find out which.
    return hashlib.sha256(b"roark-ingest token " + token.encode()).hexdigest()[:_MARK_LENGTH]


def _settings(models: tuple[FromEnvironment, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for model in models:
        for name, field in type(model).model_fields.items():
            value = getattr(model, name)
            if not isinstance(value, SecretStr | Path) and value != field.get_default(call_default_factory=True):
                found[variable_of(type(model), name)] = _text(value)
    return found


def _text(value: Any) -> str:
    return masked_text(value if isinstance(value, str) else msgspec.json.encode(value).decode())
