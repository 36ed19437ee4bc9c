"""The Lua scripts as Redis gets them: one file each, behind the text that all of them share.

script = first line of the file, `#!lua flags=…`     what Redis may refuse it for
       + KEY, rendered from keys.py                  which key is which
       + LEGAL, rendered from lifecycle.py           which move is legal
       + LETTER, QUEUE, PLACES, … of places.py       where a report stands
       + LANE of lane_states.py                      the lane's states; of these tables those that the rest names
       + _replays.lua, _ledger.lua                   books of replay jobs; clock, record, move
       + the lane's files, _jobs.lua, _bin.lua       where the script "needs _flow.lua", "needs _jobs.lua", …
       + the rest of the file
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

from roark_ledger.keys import OF_CALLS, Keys
from roark_ledger.lane_states import LaneState
from roark_ledger.lifecycle import LEGAL_MOVES
from roark_ledger.places import BY_SINCE, LETTERS, QUEUES, SORTED_SETS

_FOLDER = Path(__file__).parent / "lua"
_COMMAND = re.compile(r"\bp?call\(\s*'(\w+)'")
_COUNTED = re.compile(r"\bcount\('(\w+)',")
_ALWAYS = ("_replays.lua", "_ledger.lua")
_NEEDED = {
    "-- needs _flow.lua": ("_way.lua", "_lane.lua", "_rate.lua", "_level.lua", "_refusals.lua", "_flow.lua"),
    "-- needs _way.lua": ("_way.lua",),
    "-- needs _route.lua": ("_route.lua",),
    "-- needs _permits.lua": ("_permits.lua",),
    "-- needs _judging.lua": ("_judging.lua",),
    "-- needs _refusing.lua": ("_refusing.lua",),
    "-- needs _jobs.lua": ("_jobs.lua",),
    "-- needs _bin.lua": ("_bin.lua",),
    "-- needs _by_hand.lua": ("_by_hand.lua",),
    "-- needs _examples.lua": ("_examples.lua",),
    "-- needs _suspects.lua": ("_suspects.lua",),
}


@dataclass(frozen=True, slots=True)
class Script:
    """A script's whole text and the SHA-1 by which Redis knows it."""

    name: str
    text: str
    sha: str

    @property
    def only_reads(self) -> bool:
        """Whether the server would refuse it every write."""
        return "no-writes" in self.text.partition("\n")[0]


@cache
def script(name: str) -> Script:
    """Return the script of that name, as it is sent to Redis."""
    flags, _, body = _text(f"{name}.lua").partition("\n")
    needed = (file for need, files in _NEEDED.items() if need in body for file in files)
    rest = "\n".join((*map(_text, (*_ALWAYS, *needed)), body))
    tables = (table for name, table in _tables().items() if name in rest and re.search(rf"\b{name}\b", rest))
    text = "\n".join((flags, _key_table(), _legal_table(), *tables, rest))
    return Script(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


def script_names(*folders: str) -> list[str]:
    """Return the names of all scripts, or of those in some folders: `intake`, `delivery`, …"""
    files = (file for name, file in _files().items() if name[0] != "_")
    return sorted(file.stem for file in files if not folders or file.parent.name in folders)


def commands_in(names: Iterable[str]) -> frozenset[str]:
    """Return the commands that these scripts may call, in small letters, as permissions name them."""
    return frozenset().union(*map(_commands_of, names))


@cache
def _commands_of(name: str) -> frozenset[str]:
    return frozenset(command.lower() for command in _COMMAND.findall(script(name).text))


def counter_names() -> frozenset[str]:
    """Return the names of the ledger's counters that the scripts themselves know."""
    return frozenset(name for file in _files() for name in _COUNTED.findall(_text(file)))


@cache
def _files() -> dict[str, Path]:
    return {file.name: file for file in _FOLDER.glob("*/*.lua")}


@cache
def _text(name: str) -> str:
    return _files()[name].read_text("utf-8")


def _key_table() -> str:
    entries = (f"{field.name} = KEYS[{place}]" for place, field in enumerate(fields(Keys), start=1))
    return f"local KEY = {{ {', '.join(entries)} }}"


@cache
def _tables() -> dict[str, str]:
    """Return the tables that a script gets where it names them."""
    tables = {
        "LETTER": ", ".join(f"{state} = '{letter}'" for state, letter in LETTERS.items()),
        "QUEUE": ", ".join(f"{letter} = KEY.{queue}" for letter, queue in QUEUES.items()),
        "QUEUES": _listed(QUEUES.values()),
        "PLACES": _listed(SORTED_SETS),
        "OF_CALLS": _listed(OF_CALLS),
        "LANE": ", ".join(f"{state.name.lower()} = '{state}'" for state in LaneState),
        "BY_SINCE": ", ".join(f"{place} = true" for place in BY_SINCE),
    }
    return {name: f"local {name} = {{ {entries} }}" for name, entries in tables.items()}


def _listed(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _legal_table() -> str:
    moves = []
    for move, states in LEGAL_MOVES.items():
        entries = (f"{before} = '{after}'" for before, after in states.items())
        moves.append(f"{move} = {{ {', '.join(entries)} }}")
    return f"local LEGAL = {{ {', '.join(moves)} }}"
