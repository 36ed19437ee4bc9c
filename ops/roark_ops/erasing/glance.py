"""A quick look at a document: whether a number may be in it at all. Pure; half a millisecond for 70 kB.

Digits are looked at one behind the other, without what stands between them: as they are; unescaped; without the tags
and the values in which other digits stand between (how long a pause lasts, when a word was said); backwards in a host
of e164.arpa. Encoded digits and spoken ones are looked for as they are written.
"""

import re
from collections.abc import Collection, Iterator
from html import unescape

from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.readings import plain, unescaped, words_of

_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_PERCENT = re.compile(rb"%(?:25)*([0-9A-Fa-f]{2})")
# A number that a field of JSON has.
_VALUE = re.compile(rb'": ?[\d.eE+-]++')
_TAG = re.compile(rb"<[^<>]{0,200}>")
_ODD_DIGITS = re.compile(
    "[\u00b2\u00b3\u00b9\u0660-\u0fff\u1040-\u1c5f\u2070-\u24ff\u2776-\u2793\u3220-\u33ff"
    "\ua620-\uabff\uff10-\uff19\U00010000-\U0001fbff]"
)


class Glance:
    """What is looked for of some numbers."""

    def __init__(self, numbers: Collection[PhoneNumber]) -> None:
        # What is base16 of digits has digits alone.
        self._digits = [each for number in numbers for each in (*number.cores, number.national.encode().hex().encode())]
        self._backwards = [number.national[::-1].encode() for number in numbers]
        self._base64 = [each for number in numbers for each in number.encoded if not each.isdigit()]
        self._said = [words for number in numbers for words in words_of(number.national)]

    def may_be_in(self, text: str) -> bool:
        """Whether it is worth while to read a document whole."""
        return bool(self._digits) and any(self._looks(text))

    def _looks(self, text: str) -> Iterator[bool]:
        body = text.encode("utf-8", "surrogatepass")
        digits = body.translate(None, _NO_DIGITS)
        yield any(each in digits for each in self._digits)
        yield any(each in digits for each in self._backwards) and "164" in text
        yield any(each in text for each in self._base64)
        yield "phone-context" in text
        yield self._has_words(text)
        clean = unescaped(text)
        if "&" in clean:
            clean = unescape(clean)
        if not clean.isascii() and _ODD_DIGITS.search(clean):
            clean = plain(clean)
        if clean is not text:
            yield any(each in clean for each in self._base64)
            yield self._has_words(clean)
            body = clean.encode("utf-8", "surrogatepass")
        if b"%" in body:
            body = _PERCENT.sub(lambda found: bytes([int(found[1], 16)]), body)
        yield self._has_digits(body)
        body = _VALUE.sub(b"", body)
        yield self._has_digits(_TAG.sub(b"", body) if b"<" in body else body)

    def _has_words(self, text: str) -> bool:
        lower = text.lower()
        return any(all(word in lower for word in words) for words in self._said)

    def _has_digits(self, body: bytes) -> bool:
        digits = body.translate(None, _NO_DIGITS)
        return any(each in digits for each in self._digits)
