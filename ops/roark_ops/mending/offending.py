"""What stands in the place that Roark complains about, in words that may be shown. Pure.

    value_in_words(payload, "message.endedAt")    # 'which is "2026-01-31"'

Numbers, times, ids and single words are shown as they stand. Of everything else only its kind and size is told, and
nothing at all of what people said or who they are: a transcript, a phone number, a name.
"""

import re
from collections import Counter
from collections.abc import Sequence

from roark_ops.mending import json_text
from roark_ops.mending.editing import inside
from roark_ops.mending.json_text import NoSuchPlace, Steps

_WORD = re.compile(r"[A-Za-z0-9_.:+/#-]{0,64}")
_PHONE = re.compile(r"\+?\d[\d ()./-]{5,}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ][0-9:.,]+(Z|[+-]\d\d:?\d\d)?)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# What stands below these says what people said, or who they are.
_PRIVATE = re.compile(
    r"transcript|message$|messages|content|text|summary|customer|phone|number|name|email|address|sip|user|url|uri|secret"
    r"|token|prompt|structured|dtmf|speech|utterance|recording|variable|header|metadata|note",
    re.IGNORECASE,
)
_KIND = re.compile("which is an? ")
_MOST_SHOWN = 64


def value_in_words(payload: bytes, parameter: str) -> str:
    """Return what stands in the place that `parameter` names, "" where it names none that can be read."""
    try:
        steps = inside(payload, json_text.path_steps(parameter))
    except ValueError:
        return ""
    try:
        span = json_text.find(payload, steps)
    except NoSuchPlace:
        return "which is missing"
    return _in_words(payload[span.start : span.end], steps)


def values_in_words(values: Sequence[str], count: int) -> str:
    """Return what several reports have there, each told by `value_in_words`: the commonest with its number.

    `values` are those of the latest of `count` reports.
    """
    known = Counter(filter(None, values))
    if not known:
        return ""
    ((commonest, many),) = known.most_common(1)
    # What is told by its kind alone may differ without being told differently.
    is_exact = not any(_KIND.match(words) for words in known)
    several = f" ({len(known)} different values)" if len(known) > 1 and is_exact else ""
    if len(values) < count:
        return f"{commonest} in {many} of the {len(values)} latest{several}"
    return commonest if many == len(values) else f"{commonest} in {many} of {len(values)}{several}"


def told_value(raw: bytes, steps: Steps) -> str:
    """Return a value as it stands where it may be shown, else what kind of value it is, between < and >."""
    if raw[:1] == b'"':
        text = json_text.string_at(raw)
        return raw.decode() if not text or _may_be_shown(text, steps) else f"<text, {len(text)} characters>"
    is_told = raw in {b"true", b"false", b"null", b"{}", b"[]"} or not _is_private(steps)
    return raw.decode() if is_told else "<number>"


def _in_words(raw: bytes, steps: Steps) -> str:
    if raw[:1] == b"{":
        return f"which is an object with {_members(raw)}"
    if raw[:1] == b"[":
        return f"which is a list with {_members(raw)}"
    if raw[:1] != b'"':
        is_told = raw in {b"true", b"false", b"null"} or not _is_private(steps)
        return f"which is {raw[:_MOST_SHOWN].decode()}" if is_told else "which is a number"
    text = json_text.string_at(raw)
    if _may_be_shown(text, steps):
        return f'which is "{text}"'
    return f"which is a text of {len(text)} characters" if text else 'which is ""'


def _members(raw: bytes) -> str:
    number = sum(1 for _ in json_text.children(raw, 0))
    return f"{number} member{'' if number == 1 else 's'}"


def _may_be_shown(text: str, steps: Steps) -> bool:
    if _UUID.fullmatch(text):
        return True
    is_word = _TIME.fullmatch(text) or (_WORD.fullmatch(text) and not _PHONE.search(text))
    return bool(text and is_word) and not _is_private(steps)


def _is_private(steps: Steps) -> bool:
    return any(_PRIVATE.search(step) for step in steps)
