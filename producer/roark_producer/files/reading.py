"""Reads reports out of files: one JSON document, a JSON array, or one document a line (NDJSON).

    with open("reports.ndjson", "rb") as file:
        for line, body in read_documents(file):
            …

1. A file that begins with `[` is an array, and is read element by element.
2. A table with JSON in a column is read by row (`tables.py`).
3. Else a first line that is a whole document, or no JSON at all, means NDJSON: each line by itself, split at
   `\\n` alone, because transcripts contain U+2028 and its like, at which Python's own text files split too.
4. Else the file is a document over several lines, or several such documents. Nothing need stand between documents:
   `zcat *.gz` of files without a last line end joins them, and Amazon Firehose writes all of them on one line.

Memory is constant whatever the size: one document at a time, and of one longer than `most_bytes` only its
beginning, for its reader to refuse. Nothing is parsed here; what is no JSON comes out as it stands.
"""

import re
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Protocol

from roark_producer.files.compression import DamagedInput, what_is
from roark_producer.files.json_elements import Document, ElementScanner
from roark_producer.files.tables import rows, table_in

__all__ = ["BinaryFile", "Document", "read_documents"]

# RS begins each document of a JSON text sequence; DOS's editors and COPY end a file with Ctrl-Z.
_BLANK = b" \t\r\n\x1e\x1a"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEAM = re.compile(rb"\}[ \t\r,\x1e\x1a\xef\xbb\xbf]*\{")
_CHUNK_BYTES = 256 * 1024
_DEFAULT_MOST_BYTES = 25_000_000
_LOOKED_AT_BYTES = 512
_ENOUGH_BYTES = 4096
# On one line. With more it is clear what the line is; whoever wants them all takes them one after the other.
_LOOKED_AT_DOCUMENTS = 10_000
_BREAKS_BEHIND = (b"{", b"[", b",", b":")


class BinaryFile(Protocol):
    """What reading needs of a file that is open for bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...

    def readline(self, size: int = -1, /) -> bytes:
        """Return a line with its end, or up to `size` bytes of it."""
        ...


def read_documents(file: BinaryFile, *, most_bytes: int = _DEFAULT_MOST_BYTES) -> Iterator[Document]:
    """Yield every document with the line on which it begins. Blank lines are none.

    Of a document longer than `most_bytes` the first `most_bytes` + 1 are yielded and the rest is passed over.
    Raises DamagedInput when the file is no text at all: a recording, or a packed file under another name, would
    else come out as thousands of documents that nobody can use.
    """
    source = _Source(file)
    source.require_text()
    if table := table_in(source.look()):
        yield from rows(source.lines(), table, most_bytes=most_bytes)
    while first := source.first_byte():
        if first == b"[":
            source.skip_bracket()
            yield from _elements(source, most_bytes, array=True)
        elif _goes_over_lines(source, most_bytes):
            yield from _elements(source, most_bytes, array=False)
        else:
            yield from _lines(source, most_bytes)


def _lines(source: "_Source", most_bytes: int) -> Iterator[Document]:
    while line := source.read_line(most_bytes + 1):
        body = line.strip(_BLANK).removeprefix(_BYTE_ORDER_MARK).lstrip(_BLANK)
        if body.startswith(b"[") and _is_array(body):
            # Another file began here, and that one is an array.
            source.put_back(line)
            return
        # Lines that were cut out of an array keep its commas.
        body = body.removesuffix(b",") if body.endswith(b"},") else body
        is_whole = len(line) <= most_bytes or line.endswith(b"\n")
        if not is_whole and _SEAM.search(line):
            source.put_back(line)
            yield from _elements(source, most_bytes, array=False)
            return
        if not is_whole:
            source.pass_over_line()
        if body:
            yield from _in_one_line(Document(source.line, body, source.column + line.find(body)))
        source.line, source.column = source.line + 1, 1


def _is_array(line: bytes) -> bool:
    """Say whether a line is a whole array, or the beginning of one that printers lay out."""
    scanner = ElementScanner(array=True, most_bytes=0)
    return _has_many(scanner.feed(line[1:])) or scanner.ended or line == b"["


def _has_many(documents: Iterator[Document]) -> bool:
    """Read documents, and say whether there are so many that the rest need not be read."""
    return next(islice(documents, _LOOKED_AT_DOCUMENTS, None), None) is not None


def _in_one_line(line: Document) -> Iterator[Document]:
    """Yield the documents that stand on one line, one behind the other; the whole line where it is anything else."""
    if not _SEAM.search(line.body):
        yield line
        return
    scanner = ElementScanner(array=False, most_bytes=len(line.body), line=line.line, column=line.column)
    documents = chain(scanner.feed(line.body), scanner.close())
    found = list(islice(documents, _LOOKED_AT_DOCUMENTS))
    if all(each.body.startswith(b"{") for each in found):
        yield from chain(found, documents)
    else:
        yield line


def _elements(source: "_Source", most_bytes: int, *, array: bool) -> Iterator[Document]:
    scanner = ElementScanner(array=array, most_bytes=most_bytes, line=source.line, column=source.column)
    while not scanner.ended and (chunk := source.read_chunk()):
        yield from scanner.feed(chunk)
    yield from scanner.close()
    source.put_back(scanner.rest)
    source.line, source.column = scanner.line, scanner.column


def _goes_over_lines(source: "_Source", most_bytes: int) -> bool:
    """Say whether the document that begins here ends on a later line, without taking anything."""
    first = source.read_line(most_bytes + 1)
    second = source.read_line(1)
    source.put_back(first + second)
    scanner = ElementScanner(array=False, most_bytes=0)
    if _has_many(scanner.feed(first)):
        return False
    # A line of NDJSON that was cut short looks open as well. But printers break lines behind a bracket, comma or
    # colon only, and in front of an object's name or indentation, where NDJSON's next line begins with a brace.
    last = first.rstrip(_BLANK)[-1:]
    return scanner.is_inside and last in _BREAKS_BEHIND and (second != b"{" or last == b"[")


class _Source:
    """A file from which something may be put back. `line` and `column` tell of the next byte, kept by its readers."""

    def __init__(self, file: BinaryFile) -> None:
        self._file = file
        # A pipe's writer may pause: what has come is read, rather than waiting for a whole chunk.
        self._read: Callable[[int], bytes] = getattr(file, "read1", file.read)
        self._ahead = b""
        self.line = self.column = 1

    def read_chunk(self) -> bytes:
        """Return some bytes, none at the end."""
        ahead, self._ahead = self._ahead, b""
        return ahead or self._read(_CHUNK_BYTES)

    def look(self) -> bytes:
        """Return enough to see what this is, which will be read again. What begins like JSON is not waited for."""
        first = self.read_chunk()
        while len(first) < _ENOUGH_BYTES and not first.lstrip(_BLANK + _BYTE_ORDER_MARK).startswith((b"{", b"[")):
            if not (more := self._read(_CHUNK_BYTES)):
                break
            first += more
        self.put_back(first)
        return first

    def lines(self) -> Iterator[bytes]:
        """Yield all lines that are left, with their ends, or long ones in pieces."""
        while line := self.read_line(_CHUNK_BYTES):
            yield line

    def require_text(self) -> None:
        """Raise DamagedInput when a zero byte, which no JSON text holds, is among the first."""
        first = self.look()
        if b"\0" in first[:_LOOKED_AT_BYTES]:
            raise DamagedInput(what_is(first))

    def put_back(self, chunk: bytes) -> None:
        """Have `chunk` read again."""
        self._ahead = chunk + self._ahead

    def read_line(self, most_bytes: int) -> bytes:
        """Return the next line with its end, or the first `most_bytes` of it."""
        end = self._ahead.find(b"\n", 0, most_bytes) + 1 or most_bytes
        line, self._ahead = self._ahead[:end], self._ahead[end:]
        if len(line) < most_bytes and not line.endswith(b"\n"):
            line += self._file.readline(most_bytes - len(line))
        return line

    def pass_over_line(self) -> None:
        """Read to the end of the line and drop it."""
        while (piece := self.read_line(_CHUNK_BYTES)) and not piece.endswith(b"\n"):
            pass

    def first_byte(self) -> bytes:
        """Pass over blanks; return the first byte that is none, which stays, or nothing at the end."""
        while chunk := self.read_chunk():
            kept = chunk.lstrip(_BLANK + _BYTE_ORDER_MARK)
            self._pass(chunk[: len(chunk) - len(kept)])
            if kept:
                self.put_back(kept)
                return kept[:1]
        return b""

    def skip_bracket(self) -> None:
        """Pass over the bracket that comes next."""
        self.put_back(self.read_chunk()[1:])
        self.column += 1

    def _pass(self, blanks: bytes) -> None:
        lines = blanks.count(b"\n")
        self.line += lines
        self.column = len(blanks) - blanks.rfind(b"\n") if lines else self.column + len(blanks)
