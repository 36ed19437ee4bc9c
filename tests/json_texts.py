"""JSON as senders really print it, for property tests: any layout, key order, escapes and numbers of any size.

A document here is its text, not a Python value: what must arrive byte for byte cannot pass through a printer.
"""

from hypothesis import strategies as st

# Numbers beyond what a double or 64 bits hold, and spellings that printers would change.
_numbers = st.one_of(
    st.integers(-(2**80), 2**80).map(str),
    st.sampled_from(["0", "-0", "9007199254740993", "1e400", "1E+2", "0.10", "-1.50e-7", "123456789.000000001"]),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
)
_pieces = st.one_of(
    st.characters(codec="utf-8", exclude_characters='"\\', exclude_categories=("Cc", "Cs")).map(str),
    st.sampled_from([r"\"", r"\\", r"\/", r"\n", r"\u0000", r"\u00e9", r"\u2028", r"\ud83d\ude00", "\u2028", "\x7f"]),
)
_lone_surrogates = st.sampled_from([r"\ud800", r"\udc00", r"\uDBFF", r"\ud800\ud800", r"\ude00x"])
spaces = st.text(" \t\r\n", max_size=2)


def strings(*, lone_surrogates: bool = True) -> st.SearchStrategy[str]:
    """A JSON string with its quotes; JSON.stringify writes lone surrogates as escapes, so they do come."""
    pieces = st.one_of(_pieces, _lone_surrogates) if lone_surrogates else _pieces
    return st.lists(pieces, max_size=8).map(lambda found: f'"{"".join(found)}"')


def values(*, lone_surrogates: bool = True) -> st.SearchStrategy[str]:
    """Any JSON value."""
    words = strings(lone_surrogates=lone_surrogates)
    leaves = st.one_of(_numbers, words, st.sampled_from(["true", "false", "null"]))
    return st.recursive(leaves, lambda inner: st.one_of(_arrays(inner), _objects(words, inner)), max_leaves=8)


def _arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(spaces, inner, spaces).map("".join), max_size=4).map(lambda found: f"[{','.join(found)}]")


def _objects(names: st.SearchStrategy[str], inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    members = st.tuples(names, inner)
    return st.tuples(st.lists(members, max_size=4), spaces).map(lambda found: print_object(*found))


def print_object(members: list[tuple[str, str]], space: str = "") -> str:
    """Print members, names with their quotes, with the same blanks wherever blanks may stand."""
    each = (f"{space}{name}{space}:{space}{value}{space}" for name, value in members)
    return "{" + (",".join(each) or space) + "}"


@st.composite
def objects(
    draw: st.DrawFn, fixed: dict[str, str] | None = None, *, lone_surrogates: bool = True
) -> tuple[str, list[tuple[str, str]]]:
    """An object's text and its members in order. `fixed` are among them, under names that come only once."""
    own = [(f'"{name}"', value) for name, value in (fixed or {}).items()]
    taken = {name for name, _ in own}
    free = st.tuples(strings(lone_surrogates=lone_surrogates), values(lone_surrogates=lone_surrogates))
    others = draw(st.lists(free.filter(lambda member: member[0] not in taken), max_size=5))
    members = draw(st.permutations(own + others))
    return print_object(members, draw(spaces)), members
