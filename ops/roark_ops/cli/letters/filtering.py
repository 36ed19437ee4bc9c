"""The options that choose dead letters, the same for every command that takes them.

    @filtered
    def list_(*, chosen: Filter, …) -> None: …

`filtered` puts the options in the place of the parameter `chosen`, and makes a Filter of what was given.
"""

import inspect
import re
import time
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from roark_ops.cli.terminal.options import UNSEEN, unseen
from roark_ops.cli.terminal.running import USAGE, Misused, fail
from roark_ops.cli.terminal.since import duration_of, moment_or_age

if TYPE_CHECKING:
    from roark_ops.desk.finding import Filter

_PANEL = "Filters"
_RANGE = re.compile(r"(\d*)(\.\.)?(\d*)")
_STATUS = re.compile(r"[1-5](\d\d|xx)|none")


def _option(name: str, metavar: str, help_: str, callback: Any = None) -> Any:
    return typer.Option(
        name, metavar=metavar, help=help_, rich_help_panel=_PANEL, show_default=False, callback=callback
    )


_Group = Annotated[list[str], _option("--group", "NAME", "In this group (see `dlq groups`). Repeatable.")]
_Reason = Annotated[
    list[str], _option("--died-of", "CODE", "With this reason: http_422, 'http_4*', exhausted, poison, … Repeatable.")
]
_Status = Annotated[list[str], _option("--status", "STATUS", "Roark's last status: 422, 4xx, or none. Repeatable.")]
_Since = Annotated[
    str,
    _option("--since", "WHEN", "In this state since this time or later: 2h (ago), 10:02 (UTC) or 2026-01-31T10:02Z."),
]
_Until = Annotated[
    str, _option("--until", "WHEN", "In this state since this time or earlier; `--until 1d`: for a day or longer.")
]
_Assistant = Annotated[list[str], _option("--assistant", "ID", "From this Vapi assistant. Repeatable.")]
_Property = Annotated[
    list[str],
    _option("--property", "NAME[=VALUE]", f"With this property. Repeatable; all must match. {UNSEEN}", unseen),
]
_Attempts = Annotated[str, _option("--attempts", "N", "Number of attempts: 3, 3.. (or more), ..2 (or fewer), 2..4.")]
_Audio = Annotated[str, _option("--audio", "STATE", "Audio links: good, ended (expired), or none.")]
_AudioWithin = Annotated[
    str, _option("--audio-ends-within", "TIME", "Audio links are good and expire within this time: 2h, 30min.")
]
_Edited = Annotated[
    bool | None,
    typer.Option("--edited/--not-edited", help="Edited by a person, or not.", rich_help_panel=_PANEL),
]
_Text = Annotated[
    str,
    _option("--text", "TEXT", f"Text in call ID, reason, Roark's answer or properties; ignores case. {UNSEEN}", unseen),
]

# Name → type and default, in the order in which help shows them. A list is copied by Typer.
_OPTIONS: dict[str, tuple[Any, Any]] = {
    "groups": (_Group, []),
    "reasons": (_Reason, []),
    "statuses": (_Status, []),
    "since": (_Since, ""),
    "until": (_Until, ""),
    "assistants": (_Assistant, []),
    "properties": (_Property, []),
    "attempts": (_Attempts, ""),
    "audio": (_Audio, ""),
    "audio_ends_within": (_AudioWithin, ""),
    "edited": (_Edited, None),
    "text": (_Text, ""),
}


def filtered(command: Callable[..., None]) -> Callable[..., None]:
    """Return `command` with the filter's options in place of its parameter `chosen`."""

    @wraps(command)
    def run(**arguments: Any) -> None:
        given = {name: arguments.pop(name) for name in _OPTIONS}
        command(chosen=read_filter(**given), **arguments)

    own = inspect.signature(command)
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
        for name, (annotation, default) in _OPTIONS.items()
    ]
    kept = [parameter for name, parameter in own.parameters.items() if name != "chosen"]
    run.__signature__ = own.replace(parameters=[*kept, *added])  # type: ignore[attr-defined] # Typer reads it
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in (*kept, *added)}
    return run


def require_one_choice(call_ids: list[str] | None, chosen: "Filter", *, all_: bool) -> None:
    """End with a usage error unless calls are named, or chosen by a filter, or all are meant: one of the three."""
    if sum((bool(call_ids), all_, not chosen.is_everything)) != 1:
        fail("choose one: call IDs, filters (--group, --died-of, …), or --all.", USAGE)


def read_filter(
    *,
    groups: Sequence[str],
    reasons: Sequence[str],
    statuses: Sequence[str],
    since: str,
    until: str,
    assistants: Sequence[str],
    properties: Sequence[str],
    attempts: str,
    audio: str,
    audio_ends_within: str,
    edited: bool | None,
    text: str,
) -> "Filter":
    """Return the filter that the options say. Raises Misused where one cannot be read."""
    from roark_ops.desk.finding import Filter

    for status in statuses:
        if not _STATUS.fullmatch(status):
            _refuse("--status", status, "try 422, 4xx or none")
    now_ms = round(time.time() * 1000)
    since_ms, younger_than_ms = moment_or_age(since, now_ms, "--since")
    until_ms, older_than_ms = moment_or_age(until, now_ms, "--until")
    least, most = _read_range("--attempts", attempts)
    return Filter(
        groups=tuple(groups),
        reasons=tuple(reasons),
        statuses=tuple(statuses),
        since_ms=since_ms,
        until_ms=until_ms,
        younger_than_ms=younger_than_ms,
        older_than_ms=older_than_ms,
        assistants=tuple(assistants),
        properties=tuple(map(_read_property, properties)),
        attempts_least=least,
        attempts_most=most,
        audio=_read_audio(audio),
        audio_within_ms=duration_of(audio_ends_within, "--audio-ends-within") if audio_ends_within else 0,
        edited=edited,
        text=text,
    )


def _read_range(option: str, text: str) -> tuple[int, int]:
    match = _RANGE.fullmatch(text)
    if match is None or (text and not (match[1] or match[3])):
        _refuse(option, text, "try 3, 3.., ..2 or 2..4")
    least, dots, most = match.groups()
    return int(least or -1), int(most or -1) if dots else int(least or -1)


def _read_audio(text: str) -> Any:
    from roark_ops.desk.finding import Audio

    if not text:
        return None
    if text not in list(Audio):
        _refuse("--audio", text, f"try {', '.join(Audio)}")
    return Audio(text)


def _read_property(text: str) -> tuple[str, str | None]:
    name, has_value, value = text.partition("=")
    return name, value if has_value else None


def _refuse(option: str, text: str, hint: str) -> NoReturn:
    raise Misused(f"{option} {text}: {hint}.")
