"""What is printed in a pipe: plain columns, as wide as they need to be."""

import json

import pytest

from roark_ops.cli.terminal.output import print_facts, print_json, print_table


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
