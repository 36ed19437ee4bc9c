"""Logs: one wide event per thing that happened, as JSON lines for machines or as readable lines for people.

    set_up_logging(settings.log_format, settings.log_level)
    event(logger, "delivered", call_id=call_id, attempt=2, duration_ms=131)

The action is a stable word to search for; what varies is a field. A filter masks secrets before a formatter sees
them: values under a secret-like name, and whatever looks like a phone number, a bearer token or a URL's password
in any text, of other libraries too.
"""

import json
import logging
import re
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any, TextIO

_HANDLER = "roark-ingest"
_MASK = "***"
_CHATTY = ("httpx", "httpcore", "asyncio", "uvicorn.error")
_SECRET_NAME = re.compile(r"secret|token|passw|authoriz|api_?key|bearer|credential|cookie|signature", re.IGNORECASE)
_SECRET_TEXT = (
    (re.compile(r"\bbearer\s+(?!tokens?(?:[\s,;:!?)]|$))[^\s\"',;]+", re.IGNORECASE), f"Bearer {_MASK}"),
    (re.compile(r"(://[^/\s:@\"']*:)[^\s\"']+@"), rf"\g<1>{_MASK}@"),
    (re.compile(r"[+\uff0b]\d(?:[ ().\-/\u00a0\u2000-\u2015\u202a-\u202f\u2060]{0,3}\d){6,14}"), f"+{_MASK}"),
)
_known_secrets: set[str] = set()
_LEAST_SECRET = 4
_HARMLESS = frozenset({bool, int, float, type(None)})
_PLAIN_VALUE = re.compile(r"[!#-<>-~]+")


def set_up_logging(fmt: str, level: str) -> None:
    """Send this process's logs to stderr, as `console` or `json` lines from `level` on. May be called again."""
    handler = Lines()
    handler.set_name(_HANDLER)
    handler.setFormatter(JsonLines() if fmt == "json" else Console())
    handler.addFilter(redact)
    root = logging.getLogger()
    root.handlers[:] = [*(each for each in root.handlers if each.get_name() != _HANDLER), handler]
    root.setLevel(level.upper())
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.excepthook = _tell_exception
    # No line shows them, and finding them out for each one costs as much as writing it.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


class Lines(logging.StreamHandler[TextIO]):
    """Writes each line to stderr as it comes, but for those of a block of `written_together`."""

    def __init__(self) -> None:
        super().__init__()
        self._held = threading.local()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's line, or keep it for the end of the block."""
        held: list[str] | None = getattr(self._held, "lines", None)
        if held is None:
            super().emit(record)
            return
        try:
            held.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001 as in every handler of the standard library
            self.handleError(record)

    def hears_alone(self, logger: logging.Logger) -> bool:
        """Whether nobody else would see a record of this logger, so that none has to be made."""
        if logging.root.handlers != [self] or self.filters != [redact] or self.level:
            return False
        while logger is not logging.root:
            if logger.handlers or logger.filters or not logger.propagate or not logger.parent:
                return False
            logger = logger.parent
        return not logger.filters

    def keep(self, name: str, level: int, action: str, fields: dict[str, Any]) -> bool:
        """Keep an event's line for the end of the block, masked as `redact` does it; False where that is not to be."""
        held: list[str] | None = getattr(self._held, "lines", None)
        if held is None or not isinstance(self.formatter, JsonLines | Console):
            return False
        try:
            shown = fields if _is_harmless(fields) else _masked(fields)
            line = self.formatter.line(time.time(), level, name, masked_text(action), shown)
        except Exception:  # noqa: BLE001 the long way tells what is wrong with it
            return False
        held.append(line + self.terminator)
        return True

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write what this thread logs in the block at its end, at once."""
        lines: list[str] = []
        self._held.lines = lines
        try:
            yield
        finally:
            self._held.lines = None
            if lines:
                self._write("".join(lines))

    def _write(self, text: str) -> None:
        try:
            with self.lock or nullcontext():
                self.stream.write(text)
                self.flush()
        except Exception:  # noqa: BLE001 as in every handler: a full disk of logs must not end what is logged about
            self.handleError(logging.makeLogRecord({"name": __name__, "msg": "lines that could not be written"}))


@contextmanager
def written_together() -> Iterator[None]:
    """Write the lines that this thread logs in the block at once, when it ends.

    Each write lets other threads in between: in a busy worker a line cost three times what it takes alone.
    """
    handler = next((each for each in logging.getLogger().handlers if isinstance(each, Lines)), None)
    with handler.together() if handler else nullcontext():
        yield


def event(logger: logging.Logger, action: str, *, level: int = logging.INFO, **fields: object) -> None:
    """Log that `action` happened, with its fields. Field values should be text, numbers, or lists of them.

    The record does not name the line of code: an action is found by its word, and walking the stack for every
    delivery would cost more than the rest of the line.
    """
    if not logger.isEnabledFor(level):
        return
    ours = logging.root.handlers[0] if logging.root.handlers else None
    # A record for each delivery would cost as much as the rest of the line.
    if not (isinstance(ours, Lines) and ours.hears_alone(logger) and ours.keep(logger.name, level, action, fields)):
        logger.handle(_record(logger.name, level, action, fields))


_BLANK = logging.makeLogRecord({}).__dict__


def _record(name: str, level: int, action: str, fields: dict[str, object]) -> logging.LogRecord:
    # The constructor would take a path apart that is not there, and ask for threads and tasks that no line shows.
    record = logging.LogRecord.__new__(logging.LogRecord)
    at = time.time()
    record.__dict__.update(
        _BLANK, name=name, levelno=level, levelname=logging.getLevelName(level), msg=action, fields=fields
    )
    record.created, record.msecs = at, at % 1 * 1000
    return record


def redact(record: logging.LogRecord) -> bool:
    """Mask what no log may hold, in the record itself. A filter: every record passes."""
    record.msg, record.args = masked_text(record.getMessage()), None
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    record.exc_text = record.exc_text and masked_traceback(record.exc_text)
    if (fields := _fields(record)) and not _is_harmless(fields):
        record.fields = _masked(fields)
    return True


def _fields(record: logging.LogRecord) -> dict[str, Any] | None:
    fields: dict[str, Any] | None = getattr(record, "fields", None)  # None: no event, another library's record
    return fields


def _is_harmless(fields: dict[str, Any]) -> bool:
    # Nearly every event's fields are: to make them anew would cost as much as the rest of the line.
    if not _are_plain_names(tuple(fields)):
        return False
    for value in fields.values():
        kind = type(value)
        if kind not in _HARMLESS and (kind is not str or masked_text(value) is not value):
            return False
    return True


@lru_cache(1024)
def _are_plain_names(names: tuple[str, ...]) -> bool:
    return not any(map(_is_secret, names))


def _masked(value: Any, name: str = "") -> Any:
    match value:
        case None | bool():
            return value
        case _ if _is_secret(name):
            return _MASK
        case int() | float():
            return value
        case dict():
            return {str(key): _masked(inner, str(key)) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(inner) for inner in value]
        case _:
            return masked_text(str(value))


@lru_cache(1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def masked_text(text: str) -> str:
    """Return `text` with phone numbers, bearer tokens and URLs' passwords masked."""
    # Nearly every text: three searches by pattern would cost ten times as much.
    if "+" not in text and "\uff0b" not in text and "://" not in text and "bearer" not in text.lower():
        return text
    for pattern, mask in _SECRET_TEXT:
        text = pattern.sub(mask, text)
    return text


def never_show(*secrets: str | None) -> None:
    """Have these texts masked in every traceback: Python's errors repeat what they were given."""
    _known_secrets.update(secret for secret in secrets if secret and len(secret) >= _LEAST_SECRET)


def masked_traceback(text: str) -> str:
    """Return a traceback without the secrets that this process knows, and what `masked_text` masks."""
    for secret in sorted(_known_secrets, key=len, reverse=True):
        text = text.replace(secret, _MASK)
    return masked_text(text)


def _tell_exception(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    sys.stderr.write(masked_traceback("".join(traceback.format_exception(kind, error, trace))))


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, action, then the event's fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields, exception = _fields(record), {"exception": record.exc_text} if record.exc_text else {}
        said = {"message" if fields is None else "action": record.getMessage()}
        return _object(record.created, record.levelno, record.name, said, {**(fields or {}), **exception})

    def line(self, at: float, level: int, name: str, action: str, fields: Mapping[str, Any]) -> str:
        """Return an event's line."""
        return _object(at, level, name, {"action": action}, fields)


def _object(at: float, level: int, name: str, said: dict[str, str], fields: Mapping[str, Any]) -> str:
    line: dict[str, Any] = {"time": f"{_time(at)}+00:00", "level": _level_name(level), "logger": name, **said}
    return json.dumps(line | {name: value for name, value in fields.items() if name not in line})


class Console(logging.Formatter):
    """A readable line: time, level, action, `name=value` for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with the traceback below it where there is one."""
        line = self.line(record.created, record.levelno, record.name, record.getMessage(), _fields(record) or {})
        return line + (f"\n{record.exc_text}" if record.exc_text else "")

    def line(self, at: float, level: int, _name: str, action: str, fields: Mapping[str, Any]) -> str:
        """Return an event's line."""
        parts = [_time(at)[11:], f"{_level_name(level):<7}", action]
        parts += [f"{name}={_shown(value)}" for name, value in fields.items()]
        return " ".join(parts)


@lru_cache
def _level_name(level: int) -> str:
    return logging.getLevelName(level).lower()


def _time(at: float) -> str:
    milliseconds = int(at * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}"


@lru_cache(8)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat()[:19]


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if type(value) is int or type(value) is float:
        return repr(value)
    if isinstance(value, str) and _PLAIN_VALUE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=not str(value).isprintable())
