"""The Lua scripts as Redis gets them: one file each, behind the text that all of them share.

script = first line of the file, `#!lua flags=…`     what Redis may refuse it for
       + KEY, rendered from keys.py                  which key is which
       + LEGAL, rendered from lifecycle.py           which move is legal
       + _replays.lua, _ledger.lua                   books of replay jobs; clock, record, move
       + the lane's files, _jobs.lua, _bin.lua       where the script "needs _flow.lua", "needs _jobs.lua", …
       + the rest of the file
"""

import hashlib
import re
from dataclasses import dataclass, fields
from functools import cache
from importlib import resources

from roark_producer.keys import Keys
from roark_producer.lifecycle import LEGAL_MOVES

_FOLDER = resources.files("roark_producer") / "lua"
_COUNTED = re.compile(r"\bcount\('(\w+)',")
_ALWAYS = ("_replays.lua", "_ledger.lua")
_NEEDED = {
    "-- needs _flow.lua": ("_lane.lua", "_rate.lua", "_level.lua", "_refusals.lua", "_flow.lua"),
    "-- needs _jobs.lua": ("_jobs.lua",),
    "-- needs _bin.lua": ("_bin.lua",),
    "-- needs _suspects.lua": ("_suspects.lua",),
}


@dataclass(frozen=True, slots=True)
class Script:
    """A script's whole text and the SHA-1 by which Redis knows it."""

    name: str
    text: str
    sha: str


@cache
def script(name: str) -> Script:
    """Return the script of that name, as it is sent to Redis."""
    flags, _, body = (_FOLDER / f"{name}.lua").read_text("utf-8").partition("\n")
    needed = (file for need, files in _NEEDED.items() if need in body for file in files)
    text = "\n".join((flags, _key_table(), _legal_table(), *map(_text, (*_ALWAYS, *needed)), body))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def script_names() -> list[str]:
    """Return the names of all scripts."""
    files = (entry.name for entry in _FOLDER.iterdir())
    return sorted(name.removesuffix(".lua") for name in files if name.endswith(".lua") and name[0] != "_")


def counter_names() -> frozenset[str]:
    """Return the names of the ledger's counters that the scripts themselves know."""
    texts = (_text(entry.name) for entry in _FOLDER.iterdir() if entry.name.endswith(".lua"))
    return frozenset(name for text in texts for name in _COUNTED.findall(text))


@cache
def _text(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _key_table() -> str:
    entries = (f"{field.name} = KEYS[{place}]" for place, field in enumerate(fields(Keys), start=1))
    return f"local KEY = {{ {', '.join(entries)} }}"


def _legal_table() -> str:
    moves = []
    for move, states in LEGAL_MOVES.items():
        entries = (f"{before} = '{after}'" for before, after in states.items())
        moves.append(f"{move} = {{ {', '.join(entries)} }}")
    return f"local LEGAL = {{ {', '.join(moves)} }}"
