"""Reading reports out of files: what is one document, on which line it begins, and that its bytes stay as they are."""

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from offenders import for_each

from roark_producer.files.compression import DamagedInput, compressing, decompressed
from roark_producer.files.json_elements import Document, ElementScanner
from roark_producer.files.reading import read_documents

MOST = 100_000
UNICODE_BREAKS = "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"


class Dribble(io.RawIOBase):
    """A file that gives out a few bytes at a time, as a pipe may."""

    def __init__(self, content: bytes, seed: int = 1) -> None:
        self._content = io.BytesIO(content)
        self._dice = random.Random(seed)

    def read(self, size: int = -1, /) -> bytes:
        return self._content.read(min(size, self._dice.randint(1, 7)))

    def readline(self, size: int | None = -1, /) -> bytes:
        return self._content.readline(size)


def documents(content: bytes | str, most_bytes: int = MOST) -> list[tuple[int, bytes]]:
    return [(document.line, document.body) for document in found_in(content, most_bytes)]


def found_in(content: bytes | str, most_bytes: int = MOST) -> list[Document]:
    content = content.encode() if isinstance(content, str) else content
    found = list(read_documents(io.BytesIO(content), most_bytes=most_bytes))
    assert list(read_documents(Dribble(content), most_bytes=most_bytes)) == found
    return found


def places_of(content: bytes) -> list[tuple[int, bytes, int]]:
    return [(document.line, document.body, document.column) for document in found_in(content)]


def bodies(content: bytes | str) -> list[bytes]:
    return [document.body for document in found_in(content)]


def test_an_empty_file_holds_nothing() -> None:
    assert documents(b"") == documents(b"\n\n  \n") == documents(b"\xef\xbb\xbf") == documents(b"[]") == []


def test_one_document_on_one_line_is_read_with_and_without_a_line_end() -> None:
    assert documents('{"a":1}') == documents('{"a":1}\r\n') == [(1, b'{"a":1}')]


def test_ndjson_is_read_by_line_and_blank_lines_are_counted() -> None:
    assert documents('\n{"a":1}\n\n \r\n{"b":2}\r\n{"c":3}') == [(2, b'{"a":1}'), (5, b'{"b":2}'), (6, b'{"c":3}')]


def test_lines_are_split_at_newlines_alone() -> None:
    line = json.dumps({"transcript": f"one{UNICODE_BREAKS}two"}, ensure_ascii=False)
    assert bodies(f"{line}\n{line}\n") == [line.encode()] * 2


def test_a_byte_order_mark_is_passed_over() -> None:
    assert documents(b'\xef\xbb\xbf{"a":1}\n{"b":2}') == [(1, b'{"a":1}'), (2, b'{"b":2}')]


def test_a_bad_line_stays_one_line_and_the_rest_is_read() -> None:
    assert bodies('{"a":1}\n{"b":"cut of\nnot json\n[1,2\n{"c":3}\n') == [
        b'{"a":1}',
        b'{"b":"cut of',
        b"not json",
        b"[1,2",
        b'{"c":3}',
    ]


@pytest.mark.parametrize(
    "cut", ['{"a":"in a string', '{"a":1', '{"a":', '{"a":1,', '{"a":"\\', "nonsense", "}", '"text"', "12"]
)
def test_a_first_line_that_was_cut_short_does_not_swallow_the_next(cut: str) -> None:
    assert bodies(f'{cut}\n{{"b":2}}\n{{"c":3}}\n') == [cut.encode(), b'{"b":2}', b'{"c":3}']


def test_an_array_is_read_by_element_whatever_its_layout() -> None:
    compact = '[{"a":1},{"b":[1,{"c":2}]},{}]'
    by_line = '[\n{"a":1},\n{"b":[1,{"c":2}]},\n{}\n]\n'
    assert bodies(compact) == bodies(by_line) == [b'{"a":1}', b'{"b":[1,{"c":2}]}', b"{}"]
    assert [line for line, _ in documents(by_line)] == [2, 3, 4]


def test_the_elements_of_a_pretty_array_keep_their_bytes_and_their_lines() -> None:
    reports = [{"call": {"id": f"c{number}"}, "list": [{"x": 1}, []]} for number in range(3)]
    text = json.dumps(reports, indent=2)
    found = documents(text)
    assert [json.loads(body) for _, body in found] == reports
    assert all(body in text.encode() for _, body in found)
    assert [text.split("\n")[line - 1].strip() for line, _ in found] == ["{"] * 3


def test_what_is_no_object_is_an_element_too() -> None:
    assert bodies('[1, "a]b", null, [2, 3], -1.5e3 ,{"a":1}]') == [
        b"1",
        b'"a]b"',
        b"null",
        b"[2, 3]",
        b"-1.5e3",
        b'{"a":1}',
    ]


def test_a_report_cut_short_inside_an_array_by_line_does_not_swallow_the_next() -> None:
    assert bodies('[\n{"a":1},\n{"b":"cut off\n{"c":3},\n{"d":4}\n]') == [
        b'{"a":1}',
        b'{"b":"cut off',
        b'{"c":3}',
        b'{"d":4}',
    ]


def test_an_array_without_an_end_gives_what_is_there() -> None:
    assert bodies('[{"a":1},{"b":2') == [b'{"a":1}', b'{"b":2']


def test_arrays_may_follow_each_other_and_lines_may_follow_an_array() -> None:
    assert documents('[{"a":1}]\n[{"b":2},\n{"c":3}]\n{"d":4}\n{"e":5}') == [
        (1, b'{"a":1}'),
        (2, b'{"b":2}'),
        (3, b'{"c":3}'),
        (4, b'{"d":4}'),
        (5, b'{"e":5}'),
    ]


def test_a_document_over_several_lines_is_one_document() -> None:
    text = json.dumps({"message": {"type": "x", "list": [{"a": 1}, {"b": "}{"}]}}, indent=4)
    assert documents(text) == [(1, text.encode())]
    assert documents(f"\n{text}\n{text}\n") == [(2, text.encode()), (2 + text.count("\n") + 1, text.encode())]


def test_brackets_and_quotes_inside_strings_do_not_count() -> None:
    element = b'{"a\\"]}":"}]{[\\\\","b":"\\\\\\"","c":"\\u005d"}'
    assert bodies(b"[" + element + b"," + element + b"]") == [element] * 2


def test_a_document_beyond_the_limit_is_cut_and_the_next_one_is_whole() -> None:
    long, short = b'{"a":"' + b"x" * 500 + b'"}', b'{"b":2}'
    for text in (long + b"\n" + short, b"[" + long + b",\n" + short + b"]", b"{\n" + long[1:] + b"\n" + short):
        found = documents(text, most_bytes=100)
        assert [(line, len(body)) for line, body in found] == [(1, 101), (2 + text.startswith(b"{\n"), len(short))]


def test_a_document_of_exactly_the_limit_is_whole() -> None:
    body = b'{"a":"' + b"x" * 92 + b'"}'
    assert len(body) == 100
    for text in (body, body + b"\n", b"[" + body + b"]"):
        assert [found for _, found in documents(text, most_bytes=100)] == [body]


def json_values() -> st.SearchStrategy[object]:
    texts = st.text(alphabet=st.sampled_from('ab"\\{}[],:\n\t é\u2028\u2029\x00😀'), max_size=8)
    leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4), max_leaves=12
    )


@st.composite
def printed(draw: st.DrawFn) -> tuple[list[bytes], bytes]:
    """The bytes of some objects, and an array of them in some layout."""
    objects = draw(st.lists(st.dictionaries(st.text(max_size=3), json_values(), max_size=3), max_size=5))
    indent, ascii_only = draw(st.sampled_from([None, 0, 2])), draw(st.booleans())
    elements = [json.dumps(one, indent=indent, ensure_ascii=ascii_only).encode() for one in objects]
    between = [draw(st.sampled_from([b",", b", ", b",\n", b"\n ,\r\n\t"])) for _ in elements]
    array = b"".join(element + gap for element, gap in zip(elements, between, strict=True)).rstrip(b", \r\n\t")
    return elements, draw(st.sampled_from([b"", b" ", b"\n"])) + array + b"\n"


def pieces_of(content: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = sorted({0, len(content), *(cut % (len(content) + 1) for cut in cuts)})
    return (content[start:end] for start, end in pairwise(places))


def scanned(chunks: Iterator[bytes], *, array: bool = True) -> tuple[list[Document], bytes]:
    scanner = ElementScanner(array=array, most_bytes=MOST)
    found, rest = [], b""
    for chunk in chunks:
        if scanner.ended:
            rest += chunk
        found += scanner.feed(chunk)
    return found + list(scanner.close()), scanner.rest + rest


@given(printed(), st.lists(st.integers(0, 10_000), max_size=12))
def test_an_arrays_elements_are_found_however_the_stream_is_cut(
    given: tuple[list[bytes], bytes], cuts: list[int]
) -> None:
    elements, inside = given
    found, rest = scanned(pieces_of(inside + b"] behind", cuts))
    assert [body for _, body, *_ in found] == elements
    assert rest == b" behind"


@given(st.text(alphabet=st.sampled_from('a1"\\{}[],: \n'), max_size=60), st.lists(st.integers(0, 60)), st.booleans())
def test_even_nonsense_is_cut_the_same_however_the_stream_is_cut(text: str, cuts: list[int], array: bool) -> None:
    content = text.encode()
    whole = scanned(iter([content]), array=array)
    assert scanned(pieces_of(content, cuts), array=array) == whole
    assert all(body in content for _, body, *_ in whole[0])


@given(st.lists(st.dictionaries(st.text(max_size=3), json_values(), max_size=3), max_size=6))
def test_ndjson_comes_back_as_it_was_written(objects: list[object]) -> None:
    lines = [json.dumps(one, ensure_ascii=False).encode() for one in objects]
    assert bodies(b"".join(line + b"\n" for line in lines)) == lines


@pytest.mark.parametrize("name", ["reports.ndjson", "reports.ndjson.gz", "reports.ndjson.zst"])
def test_a_file_is_packed_and_unpacked_by_its_name(name: str) -> None:
    content = b"".join(b'{"n":%d}\n' % number for number in range(50_000))
    packed = io.BytesIO()
    packing = compressing(packed, name)
    packing.write(content)
    if packing is not packed:
        packing.close()
        assert len(packed.getvalue()) < len(content) / 3
    with decompressed(io.BytesIO(packed.getvalue())) as unpacked:
        assert unpacked.read() == content


@pytest.mark.parametrize(
    "content", [gzip.compress(b'{"a":1}\n', mtime=0), '{"a":1}'.encode("utf-16"), b"ID3\x04\x00\x00 a recording"]
)
def test_a_file_that_is_no_text_is_not_taken_for_lines(content: bytes) -> None:
    with pytest.raises(DamagedInput, match="not UTF-8 text"):
        list(read_documents(io.BytesIO(content)))


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.zst", zstandard.compress)])
def test_a_packed_file_of_several_parts_is_read_whole(name: str, pack: "type[bytes]") -> None:
    with decompressed(io.BytesIO(pack(b'{"a":1}\n') + pack(b'{"b":2}\n'))) as unpacked:
        assert [body for _, body, *_ in read_documents(unpacked)] == [b'{"a":1}', b'{"b":2}']


@pytest.mark.parametrize(("name", "pack"), [("a.gz", gzip.compress), ("a.zst", zstandard.compress)])
def test_a_packed_file_that_was_cut_short_is_not_taken_for_a_whole_one(name: str, pack: "type[bytes]") -> None:
    whole = pack(b"".join(b'{"n":%d}\n' % number for number in range(50_000)))
    with decompressed(io.BytesIO(whole[:-9])) as unpacked, pytest.raises(DamagedInput):
        list(read_documents(unpacked))


PACKERS = {"gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress, "xz": lzma.compress}


def test_lines_may_end_as_on_old_macs() -> None:
    assert bodies(b'{"a":1}\r{"b":"}{"}\r{"c":3}\r') == [b'{"a":1}', b'{"b":"}{"}', b'{"c":3}']


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_file_is_known_by_its_first_bytes(pack: Callable[[bytes], bytes]) -> None:
    content = b'{"a":1}\n' * 100_000
    for packed in (pack(content), pack(gzip.compress(content))):
        for file in (io.BytesIO(packed), Dribble(packed)):
            with decompressed(file) as unpacked:
                assert unpacked.read() == content


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_of_a_packed_file_that_was_cut_short_everything_that_is_there_comes_out(pack: Callable[[bytes], bytes]) -> None:
    dice = random.Random(1)
    content = b"".join(b'{"n":"%s"}\n' % dice.randbytes(600).hex().encode() for _ in range(2_000))
    packed = pack(content)
    found: list[Document] = []
    with decompressed(io.BytesIO(packed[: len(packed) * 2 // 3])) as plain, pytest.raises(DamagedInput):
        found.extend(read_documents(plain))
    assert len(found) > 400


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
def test_a_packed_file_that_was_cut_short_is_no_whole_one(pack: Callable[[bytes], bytes]) -> None:
    with (
        decompressed(io.BytesIO(pack(random.Random(1).randbytes(500_000))[:-9])) as unpacked,
        pytest.raises(DamagedInput),
    ):
        unpacked.read()


def test_a_file_that_is_not_packed_at_all_is_read_as_it_is() -> None:
    for content in (b'{"a":1}\n' * 100, b"", b"{", b"BZ"):
        with decompressed(io.BytesIO(content)) as plain:
            assert plain.read() == content


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("first", ["{", "["])
def test_json_in_another_encoding_is_known_without_its_mark(encoding: str, first: str) -> None:
    text = {"{": '{"a":"\U0001f600"}', "[": '["\u2028"]'}[first]
    with decompressed(io.BytesIO(text.encode(encoding))) as plain:
        assert plain.read() == text.encode()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark_is_read(encoding: str) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(encoding, b"")
    text = '{"a":"\U0001f600\u2028"}\r\n' * 20_000
    with decompressed(io.BytesIO(mark + text.encode(encoding))) as plain:
        assert plain.read() == text.encode()


def archive(name: str) -> bytes:
    file = io.BytesIO()
    if name == "tar":
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("a.json"))
    else:
        with zipfile.ZipFile(file, "w") as zipped:
            zipped.writestr("a.json", "{}")
    return file.getvalue()


@pytest.mark.parametrize(("name", "command"), [("tar", "tar -xOf"), ("zip", "unzip -p")])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_an_archive_is_named_with_the_command_that_takes_out_what_is_in_it(
    name: str, command: str, pack: Callable[[bytes], bytes]
) -> None:
    with decompressed(io.BytesIO(pack(archive(name)))) as file, pytest.raises(DamagedInput, match=command):
        list(read_documents(file))


TABLES = {
    "commas": b'id,payload\r\n1,"{""a"":""x\n, y""}"\r\n2,"{""b"":2}"\r\n',
    "a mark, and quoted names": b'\xef\xbb\xbf"id","payload"\n"1","{""a"":""x\n, y""}"\n2,"{""b"":2}"\n',
    "semicolons": b'id;payload\n1;"{""a"":""x\n, y""}"\n2;"{""b"":2}"',
    "tabs": b'id\tpayload\n1\t"{""a"":""x\n, y""}"\n2\t{"b":2}',
}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_a_table_with_json_in_a_column_is_read_by_row(table: bytes) -> None:
    found = found_in(table)
    assert [(one.line, json.loads(one.body)) for one in found] == [
        (2, {"id": "1", "payload": '{"a":"x\n, y"}'}),
        (4, {"id": "2", "payload": '{"b":2}'}),
    ]
    assert all(one.is_row for one in found)


NAMELESS = {
    "commas": b'1,"{""a"":""x\n, y""}"\n2,"{""b"":2}"\n',
    "bars, as sqlite3 prints": b'1|{"a":"x"}\n2|{"b":2}\n',
    "tabs, as COPY writes": b'1\t{"a":"x"}\n2\t{"b":2}\n',
}


@pytest.mark.parametrize("table", NAMELESS.values(), ids=NAMELESS)
def test_columns_without_names_are_numbered(table: bytes) -> None:
    found = found_in(table)
    assert [json.loads(one.body) for one in found][1:] == [{"1": "2", "2": '{"b":2}'}]
    assert found[0].line == 1
    assert json.loads(json.loads(found[0].body)["2"].replace("\n", " "))["a"].startswith("x")


def test_excels_first_line_names_the_separator() -> None:
    (row,) = found_in(b'\xef\xbb\xbfsep=;\r\nid;payload\r\n1;"{""a"":1}"\r\n')
    assert (row.line, json.loads(row.body)) == (3, {"id": "1", "payload": '{"a":1}'})


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), min_size=1, max_size=4))
def test_what_copy_writes_is_read_as_it_was(value: dict[str, Any]) -> None:
    text = json.dumps({"text": "AI: Hi\nUser: hello"} | value)
    copied = text.replace("\\", "\\\\")
    for names in ("", "id\tpayload\n"):
        for written in (copied, text):
            (row,) = found_in(f"{names}1\t{written}\n")
            assert text in json.loads(row.body).values()


def test_a_table_of_one_column_is_one() -> None:
    (row,) = found_in(b'payload\n"{""a"":1}"\n')
    assert json.loads(row.body) == {"payload": '{"a":1}'}


@pytest.mark.parametrize("content", [b'{"a":"b,c"}\n{"d":1}', b"id,name\n1,ann\n", b'not json\n{"a":1}', b'"a","b"\n'])
def test_what_is_no_such_table_is_read_by_line(content: bytes) -> None:
    assert bodies(content) == [line.strip() for line in content.splitlines() if line]


def test_a_cell_that_does_not_end_is_damage_and_no_endless_memory() -> None:
    with pytest.raises(DamagedInput, match="line 3"):
        list(read_documents(io.BytesIO(TABLES["commas"][:20] + b'","\n2,"{""' + b"x" * 900_000), most_bytes=MOST))


def test_an_endless_packed_file_unpacks_in_bounded_pieces() -> None:
    bomb = zstandard.compress(bytes(300_000_000))
    with decompressed(io.BytesIO(bomb)) as unpacked:
        assert len(unpacked.read(1_000_000)) == 1_000_000


R = b'{"message":{"type":"end-of-call-report","call":{"id":"%d"},"t":"}{ }{"}}'
MARK = b"\xef\xbb\xbf"


@for_each(
    "between",
    [b"", b" ", b"\t", MARK, b"\x1e", b",", b"\x1a", b"\r\n\x1a" + MARK, b" " + MARK, b"\n", b"\r\n" + MARK, b"\n\x1e"],
)
@for_each("first", [b"", R % 0 + b"\n", R % 0 + b"\r\n\r\n", b"[" + R % 0 + b"]"])
def test_documents_may_follow_each_other_with_anything_or_nothing_between(between: bytes, first: bytes) -> None:
    # As `zcat` joins files without a last line end, Firehose writes records, and JSON text sequences begin them.
    following = [R % number for number in range(1, 4)]
    found = bodies(first + between.join(following))
    assert found == ([R % 0] if first else []) + following


def test_documents_on_one_line_may_be_many_more_than_one_may_be_long() -> None:
    joined = b"".join(R % number for number in range(200))
    assert [one.body for one in found_in(joined, 100)] == [R % number for number in range(200)]
    assert [one.body for one in found_in(b"{}\n" + joined + b"\n{}", 100)][1:-1] == [
        R % number for number in range(200)
    ]


def test_the_column_is_told_where_a_document_does_not_begin_its_line() -> None:
    assert places_of(b'{"a":1}{"b":2}\n  {"c":3} {"d":4}') == [
        (1, b'{"a":1}', 1), (1, b'{"b":2}', 8), (2, b'{"c":3}', 3), (2, b'{"d":4}', 11),
    ]  # fmt: skip
    assert places_of(b'[{"a":1},\n {"b":2}]{"c":3}') == [
        (1, b'{"a":1}', 2), (2, b'{"b":2}', 2), (2, b'{"c":3}', 10),
    ]  # fmt: skip


def test_arrays_may_stand_on_lines_and_a_cut_one_is_one_bad_line() -> None:
    assert bodies(b'{"a":1}\n[{"b":2},{"c":3}]\n{"d":4}\n[\n{"e":5}\n]\n') == [
        b'{"%c":%d}' % (96 + n, n) for n in range(1, 6)
    ]
    assert bodies(b'{"a":1}\n[{"b":2},{"c"\n{"d":4}') == [b'{"a":1}', b'[{"b":2},{"c"', b'{"d":4}']


def test_a_seam_inside_a_string_or_in_nonsense_cuts_nothing() -> None:
    assert bodies(b'{"a":"}{"}\nso }{ what\n{"b":1}') == [b'{"a":"}{"}', b"so }{ what", b'{"b":1}']


@pytest.mark.parametrize(
    "content", [R % 1 + b"\r\n\x1a", b"[" + R % 1 + b"]\x1a", MARK + b"\r\n\r\n" + R % 1 + b"\x1a\r\n"]
)
def test_a_mark_of_the_files_end_is_no_document(content: bytes) -> None:
    assert bodies(content) == [R % 1]
