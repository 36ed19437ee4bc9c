"""Flower forgets erased calls: the rows in its memory, while it runs, and those in its store.

Flower asks the ledger every two seconds whether calls were erased, looks at all its rows where more were, else at the
new ones (a late event would bring a row back), and saves its store. It does so when it starts as well. `clean_store`
waits for that, or does it itself where no Flower runs: whoever has DATA_DIR/flower.lock locked owns the store, and a
Flower that runs writes there how many erased calls the ledger had when it looked.
"""

import errno
import fcntl
import glob
import os
import shelve
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import Any

from flower.events import Events
from tornado.ioloop import PeriodicCallback

from roark_ledger.errors import LedgerError
from roark_ledger.ledger import Ledger
from roark_ledger.private_files import private
from roark_ops.cli.run.flowering import foreign
from roark_ops.erasing.certificate import AGAIN, Became, CertifiedPlace

_LOOK_MS = 2000
_PATIENCE_SECONDS = 15.0
_PAUSE_SECONDS = 0.3


class ForgettingEvents(Events):  # type: ignore[misc] # Flower has no types
    """Flower's memory of events, which forgets what was erased. `ledger` is asked."""

    ledger: Ledger

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._seen: frozenset[str] = frozenset()
        self._erased = -1
        self._looking = PeriodicCallback(self.forget, _LOOK_MS)

    def start(self) -> None:
        """Begin to listen, and to look."""
        super().start()
        self._looking.start()

    def load_state(self) -> Any:
        """Return what was kept. What another user may have laid there is not read: it could be a program."""
        return super().load_state() if not foreign(Path(self.db)) else None

    def save_state(self) -> None:
        """Keep what is known."""
        _save(Path(self.db), self.state, dict(self.state.counter))

    async def forget(self) -> None:
        """Forget what was erased since the last look."""
        rows = calls_in(self.state)
        try:
            number = await self.io_loop.run_in_executor(None, self.ledger.erased_count)
            new = rows if number != self._erased else {row: rows[row] for row in rows.keys() - self._seen}
            erased = await self.io_loop.run_in_executor(None, self.ledger.erased_of, set(new.values()))
        except LedgerError:
            # It is asked again; a server that refuses is told by `erase`, which finds the rows.
            return
        if forget(self.state, erased) and self.persistent:
            self.save_state()
        self._seen = frozenset(rows)
        if number != self._erased:
            self._erased = number
            _note(Path(self.db), number)


def clean_store(store: Path, ledger: Ledger) -> CertifiedPlace:
    """Have erased calls out of a store, by the Flower that runs or here."""
    deadline, wanted = time.monotonic() + _PATIENCE_SECONDS, ledger.erased_count()
    while True:
        with _owned(store) as is_ours:
            if is_ours:
                _remove_left_overs(store)
            try:
                number = _cleaned(store, ledger, write=is_ours)
            except Exception as error:  # noqa: BLE001 whatever unpickling raises
                why = f"Its store cannot be read ({type(error).__name__}): delete {store}* while Flower is stopped."
                return CertifiedPlace("Flower", Became.LEFT, why=why)
        if is_ours or (not number and _noted(store) >= wanted):
            return CertifiedPlace(
                "Flower", Became.DONE, f"{number} rows erased from its store" if is_ours else "by itself"
            )
        if time.monotonic() > deadline:
            why = f"{AGAIN}: the Flower that runs has not said that it forgot them. Restart it if it is an older one."
            return CertifiedPlace("Flower", Became.LEFT, why=why)
        Event().wait(_PAUSE_SECONDS)


def calls_in(state: Any) -> dict[str, str]:
    """Return the rows of reports, by their uuid: whose calls they are."""
    tasks = list(state.tasks.items()) if state is not None else ()
    return {uuid: str(task.args).strip("'\"()[],") if task.args else uuid for uuid, task in tasks}


def forget(state: Any, erased: Collection[str]) -> int:
    """Take the rows of erased calls out of Flower's memory; return how many that were."""
    gone = [uuid for uuid, call_id in calls_in(state).items() if call_id in erased]
    for uuid in gone:
        state.tasks.pop(uuid, None)
        state.search_engine.remove(uuid)
    if gone:
        # Celery orders tasks in a heap of its own, which may hold what it is ordered by.
        state.rebuild_taskheap()
    return len(gone)


@contextmanager
def _owned(store: Path) -> Iterator[bool]:
    handle = private(str(lock_of(store)), os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(handle)


def lock_of(store: Path) -> Path:
    """Return the file that is locked by whoever owns a store."""
    return store.with_name(f"{store.name}.lock")


def _remove_left_overs(store: Path) -> None:
    for left in store.parent.glob(f".{store.name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _note(store: Path, number: int) -> None:
    with suppress(OSError), open(lock_of(store), "w", encoding="ascii", opener=private) as file:
        file.write(f"{number}\n")


def _noted(store: Path) -> int:
    try:
        return int(lock_of(store).read_text("ascii") or -1)
    except (OSError, ValueError):
        return -1


def _cleaned(store: Path, ledger: Ledger, *, write: bool) -> int:
    if not glob.glob(glob.escape(str(store)) + "*[!k]"):
        return 0
    if foreign(store):
        raise PermissionError(errno.EPERM, "it belongs to another user")
    try:
        with shelve.open(str(store), "r") as kept:  # noqa: S301 our own data directory
            state, counter = kept.get("events"), kept.get("counter")
    except FileNotFoundError:
        return 0
    if state is None:
        return 0
    number = forget(state, ledger.erased_of(set(calls_in(state).values())))
    if number and write:
        _save(store, state, counter)
    return number


def _save(store: Path, state: Any, counter: Any) -> None:
    # What lies there is the old store or the new one. dbm follows links, so it writes where nobody else can lay any.
    _remove_left_overs(store)
    before = os.umask(0o077)
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{store.name}-", dir=store.parent))
        with shelve.open(str(folder / store.name), flag="n") as kept:  # noqa: S301 our own data directory
            kept["events"], kept["counter"] = state, counter
        for path in folder.iterdir():
            path.replace(store.with_name(path.name))
        folder.rmdir()
    finally:
        os.umask(before)
