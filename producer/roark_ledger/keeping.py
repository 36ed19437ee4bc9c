"""The ledger's identity and accepted total, kept outside of it: one small file for each ledger, in a data directory.

    DATA_DIR/ledger-PLACE.json    PLACE: a hash of the prefix and of where the server is, without credentials

    keeper = Keeper.of(settings.data_dir, url, settings.prefix)
    keeper.note(ledger.run_durably(keeper.operation()))

Every few seconds at most, never on the way of a report. The file is replaced in one step, and synced, when something
has changed. Where it cannot be written, what is remembered lives as long as the process: that still tells an emptied
ledger.

A file that cannot be read is set aside (`.damaged`), and told with what else is odd (`doubts`): another ledger that
this directory remembers with reports on their way, as after the prefix or the URL was changed.

One keeper for each file, whoever reads it: a webhook, workers and commands that share a data directory are one.
"""

import hashlib
import logging
import secrets
from dataclasses import asdict, replace
from pathlib import Path
from typing import Self

import msgspec

from roark_ledger.logs import event
from roark_ledger.moves.operation import Operation
from roark_ledger.moves.watch import remember
from roark_ledger.private_files import own_folder
from roark_ledger.records.promises import Loss, Remembered
from roark_ledger.server.redis_url import without_credentials
from roark_ledger.whole_files import replacing

logger = logging.getLogger(__name__)

_ID_BYTES = 8


class _File(msgspec.Struct):
    keeper: str
    ledger: str
    accepted: int
    open: int
    number: int
    seen_ms: int
    losses: tuple[tuple[str, str], ...] = ()
    name: str = ""
    parts: tuple[Remembered, ...] = ()


class Keeper:
    """What one data directory remembers of one ledger. Not for several threads at once."""

    def __init__(self, path: Path, *, name: str = "", make_folder: bool = False) -> None:
        self._path = path
        self._name = name
        self._make_folder = make_folder
        self._told_trouble = ""
        found = _read(path)
        self._keeper = found.keeper if found else secrets.token_hex(_ID_BYTES)
        self._kept = self._known = _remembered(found)

    @classmethod
    def of(cls, data_dir: Path, url: str, prefix: str, *, make_folder: bool = False) -> Self:
        """Return a data directory's keeper of the ledger at `url`; the directory is only made if told to."""
        name = f"{prefix} {_place(url)}"
        digest = hashlib.sha256(name.encode()).hexdigest()[: 2 * _ID_BYTES]
        return cls(data_dir / f"ledger-{digest}.json", name=name.rstrip("?"), make_folder=make_folder)

    @property
    def is_known(self) -> bool:
        """Whether anything is remembered of this ledger."""
        return bool(self._known.ledger)

    @property
    def partitions(self) -> int:
        """How many partitions the ledger has, as far as is remembered; 0: its home is all there is, or nobody knows."""
        return len(self._known.parts)

    @property
    def losses(self) -> tuple[Loss, ...]:
        """What was missing at the last look."""
        return self._known.known_losses()

    def doubts(self) -> tuple[str, ...]:
        """Say what is odd about what this data directory remembers; nothing where all is well."""
        folder, found = self._path.parent, []
        for path in sorted(folder.glob("ledger-*.json")):
            if (file := _read(path)) is None:
                found.append(f"{path} cannot be read")
            elif path != self._path and (left_open := _remembered(file).all_open):
                where = f" ({file.name})" if file.name else ""
                found.append(f"{path} remembers another ledger{where}, {left_open} of its reports were on their way")
        return (*found, *(f"{path} cannot be read" for path in sorted(folder.glob("ledger-*.damaged"))))

    def operation(self) -> Operation[Remembered]:
        """Return what lays that which is remembered beside the ledger."""
        return remember(self._keeper, self._known, fresh_id=secrets.token_hex(_ID_BYTES))

    def note(self, seen: Remembered) -> None:
        """Remember what the ledger said; tell what is newly missing."""
        before = {loss.ledger for loss in self._known.known_losses()}
        for loss in seen.known_losses():
            if loss.ledger not in before:
                event(logger, "ledger_lost", level=logging.CRITICAL, missing=loss.most, undelivered=loss.open)
        changed = _lasting(seen) != _lasting(self._kept)
        self._known = seen
        # Somebody may have removed the directory meanwhile.
        if changed or not self._path.exists():
            self._write(seen)

    def _write(self, seen: Remembered) -> None:
        try:
            if self._make_folder:
                own_folder(self._path.parent)
            if self._path.is_file() and _read(self._path) is None:
                aside = self._path.with_suffix(".damaged")
                self._path.rename(aside)
                hint = "if Redis lost anything before now, this directory does not know"
                event(logger, "ledger_memory_damaged", level=logging.ERROR, file=str(aside), hint=hint)
            text = msgspec.json.encode(_File(self._keeper, **asdict(seen), name=self._name))
            with replacing(self._path) as file:
                file.write(text)
        except OSError as error:
            trouble = f"cannot write {self._path}: {error.strerror}"
            if trouble != self._told_trouble:
                hint = "an emptied Redis is only noticed while this process runs"
                event(logger, "ledger_not_remembered", level=logging.WARNING, error=trouble, hint=hint)
            self._told_trouble = trouble
        else:
            self._kept, self._told_trouble = seen, ""


def _read(path: Path) -> _File | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except (OSError, msgspec.MsgspecError):
        return None


def _remembered(found: _File | None) -> Remembered:
    if found is None:
        return Remembered()
    return Remembered(found.ledger, found.accepted, found.open, found.number, found.seen_ms, found.losses, found.parts)


def _lasting(known: Remembered) -> Remembered:
    """Return it without what is another one at each look."""
    return replace(known, number=0, seen_ms=0, parts=tuple(map(_lasting, known.parts)))


def _place(url: str) -> str:
    # Without user and password: a rotated password makes no other ledger of it.
    scheme, _, place = without_credentials(url).partition("://")
    where, _, query = place.partition("?")
    return f"{where.partition('#')[0]}?{query if scheme == 'sentinel' else ''}"
