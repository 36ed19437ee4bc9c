"""The scripts' texts: their flags, what is put in front of them, and what none of them may do."""

import hashlib
import re
from dataclasses import fields
from pathlib import Path

import pytest
from script_texts import FILE as TEXTS
from script_texts import texts

import roark_ledger
from roark_ledger.keys import Keys
from roark_ledger.lane_states import LaneState
from roark_ledger.lifecycle import LEGAL_MOVES, State
from roark_ledger.places import LETTERS, PLACES, UNCONFIRMED
from roark_ledger.scripts import script, script_names

NAMES = script_names()
FOLDER = Path(roark_ledger.__path__[0]) / "lua"
FILES = {file.name: file.read_text("utf-8") for file in FOLDER.glob("*/*.lua")}


def code(text: str) -> str:
    """A script without its comments."""
    return "\n".join(line.partition("--")[0] for line in text.splitlines())


def test_a_file_is_a_script_unless_it_is_shared() -> None:
    assert {f"{name}.lua" for name in NAMES} == {file for file in FILES if not file.startswith("_")}
    assert "accept" in NAMES


def test_no_script_is_changed_by_the_way() -> None:
    listed, now = set(TEXTS.read_text("utf-8").splitlines()), set(texts().splitlines())

    changed = sorted({line.split()[0] for line in listed ^ now})
    assert not changed, "if that is on purpose: make script-texts"


def first_line(name: str) -> str:
    return script(name).text.splitlines()[0]


def the_one_table(called: str) -> str:
    """What stands in a table that every script has, and all alike."""
    found = {tuple(re.findall(rf"^local {called} = \{{(.*)\}}$", script(name).text, re.MULTILINE)) for name in NAMES}
    ((text,),) = found
    return str(text)


def test_redis_knows_each_by_the_hash_of_its_whole_text() -> None:
    hashes = {name: hashlib.sha1(script(name).text.encode()).hexdigest() for name in NAMES}

    assert {name: script(name).sha for name in NAMES} == hashes


def test_each_begins_with_its_flags() -> None:
    flags = re.compile(r"#!lua( flags=(no-writes|allow-oom)(,allow-oom)?)?")

    assert [name for name in NAMES if not flags.fullmatch(first_line(name))] == []


def test_only_what_takes_new_things_in_is_refused_when_memory_is_full() -> None:
    refused = [name for name in NAMES if "allow-oom" not in first_line(name)]
    assert refused == ["accept", "backfill", "edit", "moving_adopt", "reject"]


@pytest.mark.parametrize("name", ["look", "page", "pulse", "reconcile_look", "snapshot"])
def test_what_only_looks_is_barred_from_writing(name: str) -> None:
    assert "no-writes" in first_line(name)


def test_every_key_is_declared_in_the_order_in_which_it_is_given() -> None:
    named = re.findall(r"(\w+) = KEYS\[(\d+)\]", the_one_table("KEY"))

    in_order = Keys.under("p").in_order()
    assert [getattr(Keys.under("p"), field) for field, _ in named] == list(in_order)
    assert [int(place) for _, place in named] == list(range(1, len(in_order) + 1))


def test_the_legal_moves_are_those_of_the_lifecycle() -> None:
    moves = re.findall(r"(\w+) = \{(.*?)\}", the_one_table("LEGAL"))

    rendered = {move: dict(re.findall(r"(\w+) = '(\w+)'", states)) for move, states in moves}
    assert rendered == {move: dict(states) for move, states in LEGAL_MOVES.items()}


def test_a_script_gets_the_tables_that_it_names_and_no_others() -> None:
    tables = {"LETTER", "QUEUE", "QUEUES", "PLACES", "BY_SINCE", "LANE"}
    rows = re.compile(rf"^local ({'|'.join(tables)}) = \{{ .* \}}$", re.MULTILINE)

    given = {name: set(rows.findall(script(name).text)) for name in NAMES}

    assert [name for name in NAMES if given[name] != {one for one in tables if is_named(one, script(name).text)}] == []
    assert given["verify"] == {"LETTER", "QUEUE", "PLACES"}
    assert set.union(*given.values()) == tables


def test_no_script_writes_a_state_of_the_lane_itself() -> None:
    words = re.compile(rf"'({'|'.join(LaneState)})'")

    assert [name for name, text in FILES.items() if words.search(code(text))] == []


def is_named(table: str, text: str) -> bool:
    return bool(re.search(rf"\b{table}\b(?! = )", text))


def test_every_state_that_a_record_can_have_is_in_the_tables() -> None:
    lasting = set(State) - {State.ERASED}

    assert set(LETTERS) == lasting
    assert set(PLACES) - {UNCONFIRMED} == lasting - {State.EXPIRED}
    assert {place for places in PLACES.values() for place in places} <= {field.name for field in fields(Keys)}


def test_no_script_looks_for_keys_or_names_one_itself() -> None:
    looks = re.compile(r"['\"](KEYS|SCAN|RANDOMKEY|EVAL|FLUSH\w*)['\"]|KEYS\[", re.IGNORECASE)

    # It is given two sets of keys, and renames those of one to those of the other.
    others = {file: text for file, text in FILES.items() if file != "moving_begin.lua"}
    assert [file for file, text in others.items() if looks.search(code(text)) or "{roark}" in text] == []


def test_the_clock_is_read_in_one_place() -> None:
    reads = re.compile(r"'TIME'|math\.random")

    assert [file for file, text in FILES.items() if reads.search(code(text))] == ["_ledger.lua"]


def test_each_says_what_it_is_given_and_what_it_returns() -> None:
    headers = {name: FILES[f"{name}.lua"].split("\n\n")[0] for name in NAMES}

    assert [n for n, head in headers.items() if "-- ARGV  1 now" not in head or "-- Returns" not in head] == []


def test_all_keys_of_a_ledger_lie_in_one_slot() -> None:
    keys = Keys.under("shop")

    assert all(key.startswith("{shop}:v1:") for key in keys.in_order())
    assert len(set(keys.in_order())) == len(keys.in_order())


def test_each_command_that_a_script_calls_stands_in_it_by_name() -> None:
    # Permissions are derived from the names. One that is only known at run time would be refused there.
    by_hand = {name: re.findall(r"redis\.p?call\(\s*(?!\s*')[^)]*", script(name).text) for name in script_names()}

    assert {name: calls for name, calls in by_hand.items() if calls} == {}
