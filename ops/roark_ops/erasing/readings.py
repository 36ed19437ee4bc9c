"""The ways in which one text can be read, so that a number or a name in it is found. Pure.

`plain` is the one form in which all is compared: Unicode's compatibility forms (NFKC), digits of any script, every dash
a hyphen, every blank a space, nothing that cannot be seen, no marks on a sign (keycaps).

`readings` yields a text as it stands, as a page shows it, as the address that it may be, and as it is spoken: digits in
English words (`double five`), and in Chinese and Japanese ones.
"""

import base64
import re
import unicodedata
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

_TAG = re.compile(r"<[^<>]{0,200}>")
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
_SPOKEN = {
    "zero": "0", "nought": "0", "oh": "0", "o": "0", "one": "1", "two": "2", "three": "3", "four": "4", "five": "5",
    "six": "6", "seven": "7", "eight": "8", "nine": "9",
}  # fmt: skip
_TIMES = {"double": 2, "triple": 3}
_WORD = re.compile(rf"\b(?:({'|'.join(_TIMES)})\s+)?({'|'.join(_SPOKEN)}|\d)\b", re.IGNORECASE)
_IDEOGRAPHS = dict(zip(map(ord, "〇零一二三四五六七八九幺"), "001234567891", strict=True))
IDEOGRAPH = re.compile(f"[{''.join(map(chr, _IDEOGRAPHS))}]")
_ESCAPED_BREAK = re.compile(r"(?<!\\)\\++[nrt]")
_ESCAPED = re.compile(r"(?<!\\)\\++(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,5})\}|x([0-9a-fA-F]{2}))")
_NEAR = 60
_HEX = re.compile(r"[0-9a-fA-F]{2,}")
_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_LINE = re.compile(r"^[ \t]{0,9}(\w[\w ]{0,30}):(.*)$", re.MULTILINE)


def plain(text: str) -> str:
    """Return text in the one form in which numbers and names are compared."""
    if text.isascii():
        return text
    found = []
    for each in unicodedata.normalize("NFKC", text):
        if each.isascii():
            found.append(each)
            continue
        kind = unicodedata.category(each)
        if kind in {"Nd", "No"} and (digit := unicodedata.digit(each, None)) is not None:
            found.append(str(digit))
        elif kind == "Pd" or each in "\u2212\u02d7\u30fc":
            found.append("-")
        elif kind == "Zs" or each in _BLANK_LETTERS:
            found.append(" ")
        elif kind not in {"Cf", "Mn", "Me"}:
            found.append(each)
    return "".join(found)


def readings(text: str) -> set[str]:
    """Return the ways in which a text can be read, each of them plain."""
    found = {plain(text)}
    if "<" in text or "&" in text:
        found.add(plain(unescape(untagged(text))))
    if "\\" in text:
        found.add(plain(unescaped(text)))
    whole = text
    for _ in range(2):
        if "%" in text:
            text = unquote(text)
            found.add(plain(text.replace("+", " ")))
            found.add(plain(text))
    if IDEOGRAPH.search(whole):
        found.add(plain(of_ideographs(whole)))
    return found | {spoken for each in found if (spoken := _of_words(each)) != each}


def untagged(text: str) -> str:
    """Return a text with a blank for each tag of HTML or SSML."""
    return _TAG.sub(" ", text)


def unescaped(text: str) -> str:
    """Return a text with what JSON, JavaScript and their like escape as it is read, however often it is escaped."""
    if "\\" not in text:
        return text
    found = _ESCAPED_BREAK.sub(" ", _ESCAPED.sub(lambda found: chr(int(found[1] or found[2] or found[3], 16)), text))
    # Two halves of a character beyond the first 65,536 are one.
    return found.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def of_ideographs(text: str) -> str:
    """Return a text with digits for the signs by which Chinese and Japanese write and say them."""
    return text.translate(_IDEOGRAPHS)


def _of_words(text: str) -> str:
    return _WORD.sub(lambda found: _digit(found[2]) * _TIMES.get((found[1] or "").lower(), 1), text)


def _digit(word: str) -> str:
    return _SPOKEN.get(word.lower(), word)


def words_of(digits: str) -> tuple[tuple[str, ...], ...]:
    """Return the words that must all stand in a text that says these digits, by language; noughts have too many."""
    some = sorted(set(digits) - {"0"})
    english = {digit: word for word, digit in _SPOKEN.items()}
    signs = {digit: chr(sign) for sign, digit in reversed(_IDEOGRAPHS.items())}
    return tuple(english[digit] for digit in some), tuple(signs[digit] for digit in some if digit != "1")


def encoded(digits: str) -> tuple[str, ...]:
    """Return how these digits stand in base64, wherever they begin in it, and in hexadecimal digits of ASCII."""
    found = [digits.encode().hex()]
    for place in range(3):
        packed = base64.b64encode(b"\0" * place + digits.encode()).decode()
        # What shares a sign with what stands before or behind is not known.
        found.append(packed.rstrip("=")[(0, 2, 3)[place] : -1 if packed.endswith("=") else None])
    return tuple(found)


def decoded(text: str, around: str) -> Iterator[str]:
    """Yield what the base64, or the digits of hexadecimal ASCII, at each place where `around` stands may say."""
    at = -1
    while (at := text.find(around, at + 1)) >= 0:
        first, last = max(0, at - _NEAR), at + len(around) + _NEAR
        for run in _RUN.findall(text[first:last]):
            if around in run:
                yield from _decoded(run)


def _decoded(run: str) -> Iterator[str]:
    # Where it begins nobody knows: what stands before it may look like a part of it.
    for first in range(4):
        some = run[first:].replace("-", "+").replace("_", "/")
        whole, rest = some[: len(some) // 4 * 4], some[len(some) // 4 * 4 :]
        yield base64.b64decode(whole + (rest + "=" * (4 - len(rest)) if len(rest) > 1 else "")).decode("latin-1")
    for digits in _HEX.findall(run):
        for first in range(2):
            yield bytes.fromhex(digits[first:][: (len(digits) - first) // 2 * 2]).decode("latin-1")


def by_speaker(text: str) -> Iterator[str]:
    """Yield what each speaker of a transcript (`User: …`, a line each) says in all."""
    said: dict[str, list[str]] = {}
    for name, words in _LINE.findall(text):
        said.setdefault(name, []).append(words)
    if len(said) > 1 or any(len(lines) > 1 for lines in said.values()):
        yield from (" ".join(lines) for lines in said.values())
