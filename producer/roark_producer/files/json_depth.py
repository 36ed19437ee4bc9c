"""Finds the bracket that closes an open one, by the thousand: no step of Python for each, however many there are.

A hostile document is nothing but brackets: 20 MB of `[`, or three million `{}`. The brackets of a window are taken out
of it and added up by the interpreter's own loops, 40 ns each. A window in which fewer close than are open is passed
over without that; one that holds the end is halved until few are left.
"""

import re
from itertools import accumulate

_WHOLE_STRINGS = re.compile(rb'[^"]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"[^"]*+)*+', re.DOTALL)
_STRING = re.compile(rb'"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"', re.DOTALL)
_STRING_OR_BRACKET = re.compile(_STRING.pattern + rb"|[\[\]{}]", re.DOTALL)
_OPENING, _BRACKETS = b"[{", b"[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_UP, _DOWN = b"\x01", b"\xff"
_STEPS = bytes.maketrans(b"[{]}", _UP * 2 + _DOWN * 2)
_FIRST_WINDOW_BYTES, _MOST_WINDOW_BYTES = 512, 65_536


def bracket_that_closes(chunk: bytes, at: int, depth: int) -> tuple[int, int]:
    """Return where the last of `depth` open brackets has closed, and 0; `at` stands outside of any string.

    Where that is not in this chunk: its end, or where a string begins that does not end in it, and how many are open.
    """
    window = _FIRST_WINDOW_BYTES
    while at < len(chunk):
        end = _whole(chunk, at, at + window)
        if end == at:
            return at, depth
        steps = _steps(chunk[at:end])
        if _may_close(steps, depth):
            return _closing(chunk, at, end, depth), 0
        depth += _sum(steps)
        at, window = end, min(2 * window, _MOST_WINDOW_BYTES)
    return at, depth


def _closing(chunk: bytes, at: int, end: int, depth: int) -> int:
    """Return behind which bracket of this part the depth is 0, where one is."""
    while end - at > _FIRST_WINDOW_BYTES and (middle := _whole(chunk, at, (at + end) // 2)) < end:
        steps = _steps(chunk[at:middle])
        if _may_close(steps, depth):
            end = middle
        else:
            depth += _sum(steps)
            at = middle
    for token in _STRING_OR_BRACKET.finditer(chunk, at, end):
        first = chunk[token.start()]
        if first in _BRACKETS:
            depth += 1 if first in _OPENING else -1
            if not depth:
                return token.end()
    return end


def _whole(chunk: bytes, at: int, until: int) -> int:
    """Return up to where strings are whole; the first one also beyond `until`. `at` where that one has no end."""
    found = _WHOLE_STRINGS.match(chunk, at, until)
    if found and found.end() > at:
        return found.end()
    string = _STRING.match(chunk, at)
    return string.end() if string else at


def _steps(window: bytes) -> bytes:
    return _STRING.sub(b"", window).translate(_STEPS, _NO_BRACKETS)


def _may_close(steps: bytes, depth: int) -> bool:
    if steps.count(_DOWN) < depth:
        return False
    return 0 in accumulate(memoryview(steps).cast("b"), initial=depth)


def _sum(steps: bytes) -> int:
    return steps.count(_UP) - steps.count(_DOWN)
