"""What is printed in a pipe: plain columns, as wide as they need to be."""

import json

import pytest

from roark_ops.cli.terminal.output import broken, print_facts, print_json, print_table


def test_a_table_in_a_pipe_has_columns_of_whatever_width_they_need(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 300
    print_table(("call", "tries", "what"), [("c-1", "7", long), ("c-1000", "12", "")], right=frozenset({1}))
    assert capsys.readouterr().out.splitlines() == [
        "CALL    TRIES  WHAT",
        f"c-1         7  {long}",
        "c-1000     12",
    ]


def test_a_table_without_rows_is_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("call", "what"), [])
    assert capsys.readouterr().out == "CALL  WHAT\n"


def test_facts_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    print_facts((("state", "ready"), ("accepted", "now")))
    assert capsys.readouterr().out == "state     ready\naccepted  now\n"


def test_json_is_one_line_of_ascii_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"text": "a\u2028b\n"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert printed.count("\n") == 1
    assert json.loads(printed) == {"text": "a\u2028b\n"}


COMMAND = "roark-ingest dlq edit 0193b2c4-6f1d-7c3e-9a55-1d2e3f405162 --set analysis.successEvaluation=true --dry-run"


@pytest.mark.parametrize("columns", [80, 120])
def test_a_long_line_is_broken_between_words_and_indented_as_it_began(columns: int) -> None:
    text = "  " + " ".join(["Reports stay ready until a probe succeeds."] * 8)
    lines = broken(text, columns).split("\n")
    assert len(lines) > 1
    assert all(len(line) <= columns and line.startswith("  ") for line in lines)
    assert " ".join(line.strip() for line in lines) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        f"Next: {COMMAND}",
        f"Read Roark's answer and fix the field. A newer report of the call replaces it. Then: {COMMAND}",
        f"Read Roark's answer and fix the field, for example with `{COMMAND}`. A newer report replaces it.",
        f"Fix the field: {COMMAND}. A newer report of the call replaces this one.",
    ],
)
def test_a_command_is_never_broken(text: str) -> None:
    lines = broken(text, 40).split("\n")
    assert sum(COMMAND in line for line in lines) == 1
    assert " ".join(line.strip() for line in lines) == text


def test_a_line_that_fits_or_goes_into_a_pipe_stays_as_it_is() -> None:
    assert broken("a b c", 5) == "a b c"
    assert broken("a b c " * 100, 0) == "a b c " * 100


def test_what_follows_a_fact_stands_below_its_value() -> None:
    assert broken("state  ready since noon", 16, indent=7) == "state  ready\n       since\n       noon"
