"""What is nothing but brackets, read by the thousand: the elements that come out are those of the slow way."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from json_texts import objects

from roark_producer.files import json_elements
from roark_producer.files.json_depth import bracket_that_closes
from roark_producer.files.json_elements import ElementScanner

PIECES = 100_000


def elements(text: bytes, cut: int) -> list[bytes]:
    scanner = ElementScanner(array=False, most_bytes=len(text))
    found = [each.body for start in range(0, len(text), cut) for each in scanner.feed(text[start : start + cut])]
    return found + [each.body for each in scanner.close()]


@settings(max_examples=30)
@given(st.lists(objects(), min_size=1, max_size=4), st.integers(1, 200), st.binary(max_size=3))
def test_many_brackets_at_once_cut_as_one_by_one_does(
    documents: list[tuple[str, object]], cut: int, damage: bytes
) -> None:
    text = b"\n".join(b"[" * 40 + text.encode() + damage + b"]" * 40 for text, _ in documents)

    one_by_one = elements(text, cut)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_elements, "_FEW_BRACKETS", 3)
        at_once = elements(text, cut)

    assert at_once == one_by_one


def test_the_bracket_that_closes_is_found_in_the_middle_of_a_large_document() -> None:
    dice = random.Random(7)
    inner = b",".join(dice.choice([b"[]", b'{"a":"]}"}', b'"\\"["', b"[[[[[1]]]]]"]) for _ in range(50_000))
    text = b"[" + inner + b"]" + b",[[[]]]" * 100

    assert bracket_that_closes(text, 1, 1) == (len(inner) + 2, 0)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 20 * PIECES,
        b'{"a":' * 4 * PIECES,
        b"[" + b"{}," * 6 * PIECES + b"1]",
        b"[" + b"[[[[[[[[]]]]]]]]," * PIECES + b"1]",
        (b"[" + b"[]," * 40_000 + b"1]\n") * 16,
        (b'{"a":[' + b'{"b":"\\u0041"},' * 300 + b"1]}") * 400,
    ],
    ids=["opening", "deep", "small", "saw", "many", "one behind the other"],
)
def test_two_megabytes_of_brackets_take_no_longer_than_other_text(text: bytes) -> None:
    scanner = ElementScanner(array=False, most_bytes=len(text))
    started = time.process_time()
    for start in range(0, len(text), 262_144):
        for _ in scanner.feed(text[start : start + 262_144]):
            pass

    # One by one: 1 to 2 s.
    assert time.process_time() - started < 0.7


def test_how_much_is_looked_at_at_once_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [
        rb'{"a":"b\\\"c","d":[1,"\ud83d","]"],"e":"\\"} {"x":"y"}',
        b'["ab","cd",["}","{"],"' + b"x" * 40 + b'"] 12 "a\\\\" ',
        b'{"cut short\n{"next":"one"}',
        b'{"a":"b\\\n{"next":"one"}',
        b'{"open":["never closed',
        b'"text' + b'\\"' * 9 + b'"' + b"[[[" + b'"]"' * 5 + b"]]]",
    ]

    def cut(document: bytes) -> list[tuple[int, bytes, int]]:
        scanner = ElementScanner(array=False, most_bytes=1000)
        return [(each.line, each.body, each.column) for each in (*scanner.feed(document), *scanner.close())]

    expected = [cut(each) for each in documents]
    for at_once in range(1, 20):
        monkeypatch.setattr(json_elements, "_AT_ONCE_BYTES", at_once)
        assert [cut(each) for each in documents] == expected
