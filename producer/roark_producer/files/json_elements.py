"""Cuts a stream of bytes into the elements of a JSON array, or into documents that follow each other.

It looks only at strings, brackets and separators, keeps the bytes of one element at a time, and never parses:
each element comes out as the exact bytes that went in, so a number beyond 2^53 or an odd escape stays as it was.

    scanner = ElementScanner(array=True, most_bytes=…)      # behind the opening bracket
    for document in scanner.feed(chunk): …                  # chunks may be cut anywhere
    if scanner.ended: rest = scanner.rest                   # what stood behind the closing bracket

What is no JSON is cut as well as can be, for its reader to refuse: a raw end of line inside a string, which
JSON forbids, ends a damaged element, so that one that was cut short does not swallow the lines behind it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from roark_producer.files.json_depth import bracket_that_closes


class Document(NamedTuple):
    """One JSON document: where it begins, by line and by byte of that line, both from 1, and its bytes."""

    line: int
    body: bytes
    column: int = 1
    is_row: bool = False
    """Whether it was made of a row of a table, and is no document that anybody wrote."""


# Everything up to the next bracket, whole strings included; stops at a string that does not end in this chunk.
_TO_BRACKET = re.compile(rb'[^"{}\[\]]*+(?:"[^"\\\n]*+(?:\\[^\n][^"\\\n]*+)*+"[^"{}\[\]]*+)*+', re.DOTALL)
_IN_STRING = re.compile(rb"[^\"\\\n]*+(?:\\[^\n][^\"\\\n]*+)*+", re.DOTALL)
_SCALAR = re.compile(rb'[^ \t\r\n,\[\]{}"]*+')
# Marks of byte order stand between documents that were files of their own, RS before each in a JSON text sequence.
_BETWEEN = re.compile(rb"[ \t\r\n,\x1e\x1a\xef\xbb\xbf]*+")

_QUOTE, _BACKSLASH, _LINE_END, _ARRAY_END = b'"\\\n]'
_OPENING, _CLOSING = frozenset(b"{["), frozenset(b"}]")
# So many brackets are looked at one by one; what has more is deep or long, and read by the thousand.
_FEW_BRACKETS = 256
# Other threads of Python stand still while a pattern is matched: of millions of short texts, 15 ms for so many bytes.
_AT_ONCE_BYTES = 262_144


class ElementScanner:
    """Finds where elements begin and end.

    With `array` the stream is what stands behind `[`, and `]` ends it; without, documents follow each other until
    the stream's end. Of an element longer than `most_bytes` the first `most_bytes` + 1 are kept, so that who
    has that limit refuses it, and a file without an end needs no endless memory.
    """

    def __init__(self, *, array: bool, most_bytes: int, line: int = 1, column: int = 1) -> None:
        self.line = line
        self.column = column
        self.ended = False
        self.rest = b""
        self._array = array
        self._most = most_bytes + 1
        self._begun_on = 0  # 0: between elements
        self._begun_at = 0
        self._kept: list[bytes] = []
        self._kept_bytes = 0
        self._depth = 0
        self._brackets = 0
        self._in_string = False
        self._escaping = False

    @property
    def is_inside(self) -> bool:
        """Whether an element has begun and not ended."""
        return self._begun_on > 0

    def feed(self, chunk: bytes) -> Iterator[Document]:
        """Yield the elements that end in `chunk`. Exhaust it before feeding the next one."""
        at = 0
        while at < len(chunk) and not self.ended:
            if not self.is_inside:
                at = self._find_element(chunk, at)
                continue
            end, is_over = self._advance(chunk, at)
            self._keep(chunk[at:end])
            at = end
            if is_over:
                yield self._element()

    def close(self) -> Iterator[Document]:
        """Yield what had begun when the stream ended, if anything had."""
        if self.is_inside:
            yield self._element()

    def _find_element(self, chunk: bytes, at: int) -> int:
        found = _BETWEEN.match(chunk, at)
        start = found.end() if found else at
        self._pass(chunk[at:start])
        if start == len(chunk):
            return start
        if self._array and chunk[start] == _ARRAY_END:
            self.ended, self.rest = True, chunk[start + 1 :]
            self.column += 1
            return start + 1
        self._begun_on, self._begun_at = self.line, self.column
        return start

    def _advance(self, chunk: bytes, at: int) -> tuple[int, bool]:
        """Return how far the element reaches in this chunk, and whether it is over there."""
        while at < len(chunk):
            if self._in_string:
                at, is_over = self._to_string_end(chunk, at)
            elif self._depth:
                at, is_over = self._to_bracket(chunk, at)
            else:
                at, is_over = self._at_top(chunk, at)
            if is_over:
                return at, True
        return at, False

    def _at_top(self, chunk: bytes, at: int) -> tuple[int, bool]:
        match = _SCALAR.match(chunk, at)
        end = match.end() if match else at
        if end > at or self._kept_bytes:
            # A bare word or number, which the last chunk may have cut in two.
            return end, end < len(chunk)
        if chunk[at] == _QUOTE:
            self._in_string = True
        elif chunk[at] in _OPENING:
            self._depth = 1
        return at + 1, not self._in_string and self._depth == 0

    def _to_bracket(self, chunk: bytes, at: int) -> tuple[int, bool]:
        if self._brackets >= _FEW_BRACKETS:
            return self._to_the_end(chunk, at)
        until = min(at + _AT_ONCE_BYTES, len(chunk))
        match = _TO_BRACKET.match(chunk, at, until)
        end = match.end() if match else at
        if end == until:
            return end, False
        self._brackets += 1
        found = chunk[end]
        if found == _QUOTE:
            self._in_string = True
        elif found in _OPENING:
            self._depth += 1
        elif found in _CLOSING:
            self._depth -= 1
        return end + 1, not self._in_string and self._depth == 0

    def _to_the_end(self, chunk: bytes, at: int) -> tuple[int, bool]:
        end, self._depth = bracket_that_closes(chunk, at, self._depth)
        if not self._depth or end == len(chunk):
            return end, not self._depth
        # The string that begins here does not end in this chunk, or is damaged.
        self._in_string = True
        return end + 1, False

    def _to_string_end(self, chunk: bytes, at: int) -> tuple[int, bool]:
        if self._escaping:
            self._escaping = False
            if chunk[at] != _LINE_END:
                return at + 1, False
        until = min(at + _AT_ONCE_BYTES, len(chunk))
        match = _IN_STRING.match(chunk, at, until)
        end = match.end() if match else at
        if end == until:
            return end, False
        if chunk[end] == _BACKSLASH and end + 1 == until:
            self._escaping = True
            return end + 1, False
        if chunk[end] == _QUOTE:
            self._in_string = False
            return end + 1, self._depth == 0
        damaged_until = end + 1 if chunk[end] == _BACKSLASH else end
        return damaged_until, True

    def _keep(self, piece: bytes) -> None:
        self._pass(piece)
        wanted = self._most - self._kept_bytes
        if wanted > 0 and piece:
            self._kept.append(piece[:wanted])
            self._kept_bytes += min(wanted, len(piece))

    def _pass(self, piece: bytes) -> None:
        lines = piece.count(b"\n")
        self.line += lines
        self.column = len(piece) - piece.rfind(b"\n") if lines else self.column + len(piece)

    def _element(self) -> Document:
        element = Document(self._begun_on, b"".join(self._kept), self._begun_at)
        self._kept.clear()
        self._begun_on = self._kept_bytes = self._depth = self._brackets = 0
        self._in_string = self._escaping = False
        return element
