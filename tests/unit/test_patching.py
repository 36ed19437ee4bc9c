"""Patches: what RFC 6902 says, on the text itself, so that every byte that is not meant stays."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from json_texts import values

from roark_ops.mending.json_text import children, find
from roark_ops.mending.patching import Change, PatchFailed, Step, apply, as_patch, difference, read_patch, same


def patched(text: str, *steps: dict[str, Any]) -> str:
    return apply(text.encode(), read_patch(json.dumps(steps).encode())).decode()


# RFC 6902, appendix A.
RFC = [
    ('{"foo":"bar"}', {"op": "add", "path": "/baz", "value": "qux"}, '{"foo":"bar","baz":"qux"}'),
    ('{"foo":["bar","baz"]}', {"op": "add", "path": "/foo/1", "value": "qux"}, '{"foo":["bar","qux","baz"]}'),
    ('{"baz":"qux","foo":"bar"}', {"op": "remove", "path": "/baz"}, '{"foo":"bar"}'),
    ('{"foo":["bar","qux","baz"]}', {"op": "remove", "path": "/foo/1"}, '{"foo":["bar","baz"]}'),
    ('{"baz":"qux","foo":"bar"}', {"op": "replace", "path": "/baz", "value": "boo"}, '{"baz":"boo","foo":"bar"}'),
    (
        '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
        {"op": "move", "from": "/foo/waldo", "path": "/qux/thud"},
        '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}',
    ),
    (
        '{"foo":["all","grass","cows","eat"]}',
        {"op": "move", "from": "/foo/1", "path": "/foo/3"},
        '{"foo":["all","cows","eat","grass"]}',
    ),
    ('{"foo":"bar"}', {"op": "add", "path": "/child", "value": {"a": {}}}, '{"foo":"bar","child":{"a": {}}}'),
    ('{"foo":["bar"]}', {"op": "add", "path": "/foo/-", "value": ["abc"]}, '{"foo":["bar",["abc"]]}'),
    ('{"/":9,"~1":10}', {"op": "test", "path": "/~01", "value": 10}, '{"/":9,"~1":10}'),
    ('{"a":{"b":1}}', {"op": "copy", "from": "/a", "path": "/c"}, '{"a":{"b":1},"c":{"b":1}}'),
    ("[]", {"op": "add", "path": "/0", "value": 1}, "[1]"),
    ("{}", {"op": "add", "path": "/a", "value": 1}, '{"a":1}'),
    ('{"a":1}', {"op": "remove", "path": "/a"}, "{}"),
    ('{"foo":null}', {"op": "test", "path": "/foo", "value": None}, '{"foo":null}'),
]
FAILING = [
    ('{"foo":"bar"}', {"op": "add", "path": "/baz/bat", "value": 1}, "nothing at /baz"),
    ('{"foo":[1]}', {"op": "add", "path": "/foo/3", "value": 1}, "nothing at /foo/3"),
    ('{"foo":"bar"}', {"op": "add", "path": "/foo/x", "value": 1}, "nothing at /foo/x"),
    ('{"foo":"bar"}', {"op": "remove", "path": "/baz"}, "nothing at /baz"),
    ('{"foo":"bar"}', {"op": "replace", "path": "/baz", "value": 1}, "nothing at /baz"),
    ('{"~1":10}', {"op": "test", "path": "/~01", "value": "10"}, "does not have the value that the patch expects"),
    ('{"a":true}', {"op": "test", "path": "/a", "value": 1}, "does not have the value that the patch expects"),
    ('{"a":{"b":1}}', {"op": "move", "from": "/a", "path": "/a/b"}, "into itself"),
    ('{"a":1}', {"op": "remove", "path": ""}, "cannot be removed"),
]


@pytest.mark.parametrize(("text", "step", "expected"), RFC)
def test_it_does_what_the_rfc_shows(text: str, step: dict[str, Any], expected: str) -> None:
    assert json.loads(patched(text, step)) == json.loads(expected)


@pytest.mark.parametrize(("text", "step", "why"), FAILING)
def test_what_does_not_fit_fails_and_says_where(text: str, step: dict[str, Any], why: str) -> None:
    with pytest.raises(PatchFailed, match=why):
        patched(text, step)


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (b"{}", "array of steps"),
        (b"nonsense", "not valid JSON"),
        (b"[1]", "step 1"),
        (b'[{"op":"spread","path":"/a"}]', "op must be one of"),
        (b'[{"path":"/a"}]', "op is missing"),
        (b'[{"op":"remove","path":7}]', "path is not a string"),
        (b'[{"op":"remove","path":"a"}]', "is not a JSON pointer"),
        (b'[{"op":"add","path":"/a"}]', "value is missing"),
        (b'[{"op":"move","path":"/a"}]', "from is missing"),
    ],
)
def test_what_is_no_patch_is_refused(patch: bytes, why: str) -> None:
    with pytest.raises(PatchFailed, match=why):
        read_patch(patch)


def test_a_patch_is_applied_wholly_or_not_at_all() -> None:
    text = '{"a":1}'
    with pytest.raises(PatchFailed, match="step 2"):
        patched(text, {"op": "replace", "path": "/a", "value": 2}, {"op": "remove", "path": "/b"})


def test_what_is_put_in_is_put_in_as_it_is_written() -> None:
    patch = read_patch(
        b'[{"op":"replace","path":"/n","value": 1.50e+400 },{"op":"add","path":"/u","value":"\\ud800 \\/"}]'
    )
    assert apply(b'{"n":9007199254740993,"m":9007199254740993}', patch) == (
        b'{"n":1.50e+400,"m":9007199254740993,"u":"\\ud800 \\/"}'
    )


def test_a_new_member_looks_like_its_neighbours() -> None:
    text = '{\n  "a": 1,\n  "b": 2\n}'
    assert patched(text, {"op": "add", "path": "/c", "value": 3}) == '{\n  "a": 1,\n  "b": 2,\n  "c": 3\n}'


def test_with_a_removed_member_goes_every_other_of_its_name() -> None:
    assert patched('{"a":1,"b":2,"a":3}', {"op": "remove", "path": "/a"}) == '{"b":2}'


@given(values().filter(lambda text: text[0] in "{["), values().map(str.encode), st.data())
def test_every_byte_outside_the_place_that_is_replaced_stays(text: str, value: bytes, data: st.DataObject) -> None:
    before = text.encode()
    place, start, end = data.draw(st.sampled_from(list(every_place(before))))

    assert apply(before, [Step("replace", place, value)]) == before[:start] + value + before[end:]


def every_place(text: bytes, place: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], int, int]]:
    """Every place that a reader sees, and where it stands: of members with the same name the last one."""
    span = find(text, place)
    yield place, *span
    for name in dict.fromkeys(child.name for child in children(text, span.start)):
        yield from every_place(text, (*place, name))


@given(values().map(str.encode), values().map(str.encode))
def test_the_difference_is_a_patch_that_leads_from_one_text_to_the_other(before: bytes, after: bytes) -> None:
    changes = difference(before, after)
    assert difference(apply(before, as_patch(changes)), after) == []


@given(st.lists(st.integers(0, 3), max_size=6), st.lists(st.integers(0, 3), max_size=6))
def test_the_difference_of_two_arrays_leads_from_one_to_the_other(before: list[int], after: list[int]) -> None:
    changes = difference(json.dumps(before).encode(), json.dumps(after).encode())
    assert json.loads(apply(json.dumps(before).encode(), as_patch(changes))) == after
    assert len(changes) <= max(len(before), len(after))


def test_blanks_and_order_are_no_difference_and_every_digit_is() -> None:
    assert difference(b'{"a":1,"b":[2, 3]}', b'{ "b":[2,3], "a":1 }') == []
    assert difference(b'{"a":1.0}', b'{"a":1}') == [Change(("a",), b"1.0", b"1")]
    assert difference(b'["\\u00e9"]', '["é"]'.encode()) == [Change(("0",), b'"\\u00e9"', '"é"'.encode())]


def test_the_same_by_value_is_the_same_to_a_test() -> None:
    assert same(b'{"a":1.0,"b":[1e2]}', b'{"b":[100],"a":1}')
    assert same(b"123456789012345678901234567890", b"123456789012345678901234567890.0")
    assert not same(b"9007199254740993", b"9007199254740992")
    assert not same(b"true", b"1")
    assert same(b"1e999999999999999999999", b"1e999999999999999999999")


PLAIN = st.recursive(
    st.one_of(st.integers(), st.booleans(), st.none(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text("ab~/", max_size=2), inner, max_size=3)
    ),
    max_leaves=8,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "replace", "move", "copy"]),
        st.lists(st.sampled_from(["a", "b", "0", "1", "-", "~", "/"]), max_size=3).map(tuple),
        st.lists(st.sampled_from(["a", "b", "0", "1"]), min_size=1, max_size=2).map(tuple),
        PLAIN,
    ),
    max_size=3,
)


@given(st.dictionaries(st.text("ab~/", max_size=2), PLAIN, max_size=3), STEPS)
def test_it_does_what_a_patch_of_python_objects_does(document: dict[str, Any], steps: list[Any]) -> None:
    patch = [Step(op, place, json.dumps(value).encode(), origin) for op, place, origin, value in steps]
    expected: Any = copy.deepcopy(document)
    try:
        for op, place, origin, value in steps:
            expected = on_objects(expected, op, place, origin, value)
    except (LookupError, ValueError, TypeError):
        with pytest.raises(PatchFailed):
            apply(json.dumps(document).encode(), patch)
        return
    assert json.loads(apply(json.dumps(document).encode(), patch)) == expected


def on_objects(document: Any, op: str, place: tuple[str, ...], origin: tuple[str, ...], value: Any) -> Any:
    """RFC 6902 on Python objects; raises where it fails."""
    document = copy.deepcopy(document)
    if op in {"move", "copy"}:
        value = copy.deepcopy(looked_up(document, origin))
        if op == "move":
            if place[: len(origin)] == origin and place != origin:
                raise ValueError("into itself")
            if place == origin:
                return document
            document = on_objects(document, "remove", origin, (), None)
        op = "add"
    if not place:
        if op == "remove":
            raise ValueError("the whole")
        return value
    holder, name = looked_up(document, place[:-1]), place[-1]
    if isinstance(holder, list):
        number = len(holder) if name == "-" and op == "add" else int(name)
        if number > len(holder) - (op != "add"):
            raise IndexError(number)
        if op == "add":
            holder.insert(number, value)
        elif op == "remove":
            del holder[number]
        else:
            holder[number] = value
    elif isinstance(holder, dict):
        if op != "add" and name not in holder:
            raise KeyError(name)
        if op == "remove":
            del holder[name]
        else:
            holder[name] = value
    else:
        raise TypeError(name)
    return document


def looked_up(document: Any, place: tuple[str, ...]) -> Any:
    for step in place:
        if isinstance(document, list):
            document = document[int(step)]
        elif isinstance(document, dict):
            document = document[step]
        else:
            raise TypeError(step)
    return document
