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
every_script = pytest.mark.parametrize("name", NAMES)
every_file = pytest.mark.parametrize("file", sorted(FILES))


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


@every_script
def test_redis_knows_it_by_the_hash_of_its_whole_text(name: str) -> None:
    assert script(name).sha == hashlib.sha1(script(name).text.encode()).hexdigest()


@every_script
def test_it_begins_with_its_flags(name: str) -> None:
    first = script(name).text.splitlines()[0]

    assert re.fullmatch(r"#!lua( flags=(no-writes|allow-oom)(,allow-oom)?)?", first)


@every_script
def test_only_what_takes_new_things_in_is_refused_when_memory_is_full(name: str) -> None:
    refused = "allow-oom" not in script(name).text.splitlines()[0]

    assert refused == (name in {"accept", "backfill", "edit", "reject"})


@pytest.mark.parametrize("name", ["look", "page", "pulse", "reconcile_look", "snapshot"])
def test_what_only_looks_is_barred_from_writing(name: str) -> None:
    assert "no-writes" in script(name).text.splitlines()[0]


@every_script
def test_every_key_is_declared_in_the_order_in_which_it_is_given(name: str) -> None:
    table = re.search(r"^local KEY = \{(.*)\}$", script(name).text, re.MULTILINE)

    assert table
    named = re.findall(r"(\w+) = KEYS\[(\d+)\]", table[1])
    in_order = Keys.under("p").in_order()
    assert [getattr(Keys.under("p"), field) for field, _ in named] == list(in_order)
    assert [int(place) for _, place in named] == list(range(1, len(in_order) + 1))


@every_script
def test_the_legal_moves_are_those_of_the_lifecycle(name: str) -> None:
    table = re.search(r"^local LEGAL = \{(.*)\}$", script(name).text, re.MULTILINE)

    assert table
    moves = re.findall(r"(\w+) = \{(.*?)\}", table[1])
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


@every_file
def test_no_script_looks_for_keys_or_names_one_itself(file: str) -> None:
    assert not re.search(r"['\"](KEYS|SCAN|RANDOMKEY|EVAL|FLUSH\w*)['\"]", code(FILES[file]), re.IGNORECASE)
    assert "KEYS[" not in code(FILES[file])
    assert "{roark}" not in FILES[file]


@pytest.mark.parametrize("file", sorted(set(FILES) - {"_ledger.lua"}))
def test_the_clock_is_read_in_one_place(file: str) -> None:
    assert "'TIME'" not in code(FILES[file])
    assert "math.random" not in code(FILES[file])


@every_script
def test_it_says_what_it_is_given_and_what_it_returns(name: str) -> None:
    header = FILES[f"{name}.lua"].split("\n\n")[0]

    assert "-- ARGV  1 now" in header
    assert "-- Returns" in header


def test_all_keys_of_a_ledger_lie_in_one_slot() -> None:
    keys = Keys.under("shop")

    assert all(key.startswith("{shop}:v1:") for key in keys.in_order())
    assert len(set(keys.in_order())) == len(keys.in_order())
