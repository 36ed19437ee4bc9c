"""A phone number in every form in which systems and people write it. Pure.

    number = PhoneNumber.read("+33612345678")
    number.is_whole("tel:+33-6-12-34-56-78;ext=2")   # this text is the number
    number.is_in("call me at 06 12 34 56 78")        # it stands in this text

All text is brought into one form first (`plain`): Unicode's compatibility forms (NFKC), digits of any script, every
dash a hyphen, every blank a space, nothing that cannot be seen, no marks on a sign (keycaps). Then digits are compared:
with the country code behind +, 00, 011 or nothing, also with the trunk prefix in between (+33 (0)6), and as it is
dialled in its own country.

Country codes and trunk prefixes are libphonenumber's.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache
from html import unescape
from typing import Self
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneMetadata

from roark_ledger.errors import InvalidReport

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_LAYOUT = re.compile(r"[\s().\-/,·_\[\]]+")
# What may stand between two digits of one number in a text: anything but letters, digits, and what parts hours.
_GAP = r"(?:[^\w:]|_){0,6}"
_TAG = re.compile(r"<[^<>]{0,200}>")
_BLANK_LETTERS = "\u115f\u1160\u3164\uffa0"
_WHOLE = re.compile(
    r"[\s\"'<(\[]*(?:(?:tel|sips?|sms|callto|whatsapp|mailto|phone)\s*:\s*/{0,2})*(?P<number>[+(\[\d][\d\s().\-/\[\]]*)"
    r"(?P<rest>$|[\"'>@;?#].*|\s*(?:ext|x|extension|poste|durchwahl)[.:\s]*\d+\s*)",
    re.IGNORECASE | re.DOTALL,
)
_NAMED = re.compile(r"[^<>]*<(?P<inner>[^<>]+)>\s*(?:;.*)?", re.DOTALL)
_CONTEXT = re.compile(r";phone-context=\+?(\d+)", re.IGNORECASE)
_FLOAT = re.compile(r"[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d{1,2})?")
_EXITS = ("", "00", "011")
_LEAST = 7
_MOST_WHOLE = 400


@dataclass(frozen=True)
class PhoneNumber:
    """A number: country code, national number without its trunk prefix, and what is dialled before that at home."""

    country: str
    national: str
    trunk: str = ""
    at_home: bool = field(default=False)
    """Whether a bare national number counts as this one: the person who asked named the region."""

    @classmethod
    def read(cls, text: str, region: str = "") -> Self:
        """Return the number that a person wrote: in E.164, or as it is dialled in `region` (`FR`).

        Raises InvalidReport, which does not repeat it, when it is none.
        """
        digits = plain(text).strip()
        found = _WHOLE.fullmatch(digits)
        written = _LAYOUT.sub("", found["number"].replace("(0)", "")) if found else ""
        if written.startswith("00"):
            written = "+" + written[2:]
        try:
            parsed = phonenumbers.parse(written, region.upper() or None)
        except phonenumbers.NumberParseException:
            if _E164.fullmatch(written):
                return cls("", written[1:])
            raise InvalidReport("phone", _hint(region)) from None
        country, national = str(parsed.country_code), phonenumbers.national_significant_number(parsed)
        if not _E164.fullmatch(f"+{country}{national}"):
            raise InvalidReport("phone", _hint(region))
        return cls(country, national, _trunk(parsed), bool(region))

    @property
    def e164(self) -> str:
        """The number as `+33612345678`."""
        return f"+{self.country}{self.national}"

    @property
    def core(self) -> bytes:
        """The digits that every form has, one behind the other once its layout is taken out."""
        # A float may leave the last noughts out.
        return self.national.rstrip("0").encode()

    def is_whole(self, text: str) -> bool:
        """Whether this text is the number and nothing else, but for a scheme, a host, parameters or an extension."""
        if len(text) > _MOST_WHOLE:
            return False
        bare = plain(text).strip()
        if named := _NAMED.fullmatch(bare):
            bare = named["inner"].strip()
        if _FLOAT.fullmatch(bare) and ("." in bare or "e" in bare.lower()) and self._is_float(bare):
            return True
        if "&#" in bare:
            bare = plain(unescape(bare)).strip()
        if "%" in bare:
            bare = unquote(bare)
        found = _WHOLE.fullmatch(bare)
        if not found:
            return False
        digits = _LAYOUT.sub("", found["number"]).lstrip("+")
        if context := _CONTEXT.search(found["rest"]):
            return context[1] == self.country and digits in {self.national, self.trunk + self.national}
        laid_out = bool(_LAYOUT.search(found["number"].strip()))
        return digits in self._forms or ((laid_out or self.at_home) and digits in self._bare)

    def is_value(self, value: float) -> bool:
        """Whether a number of JSON is this one, read with its country code."""
        return value > 0 and value == int(value) and str(int(value)) in self._forms

    def mentions_value(self, value: float) -> bool:
        """Whether a number of JSON is this one as it is dialled at home: noughts in front are lost. Or with a minus."""
        if value < 0:
            return self.is_value(-value) or self.mentions_value(-value)
        return value > 0 and value == int(value) and str(int(value)) == self.national

    def is_in(self, text: str) -> bool:
        """Whether the number stands anywhere in this text, however it is laid out."""
        return any(self.pattern.search(each) for each in _readings(text))

    def masked(self, text: str, mask: str) -> str:
        """Return a text with this number masked wherever it stands; what has it in another disguise is all masked."""
        if not self.is_in(text):
            return text
        found = self.pattern.sub(mask, plain(text))
        return mask if self.is_in(found) else found

    @property
    def _forms(self) -> frozenset[str]:
        prefixes = {exit_ + self.country + trunk for exit_ in _EXITS for trunk in ("", self.trunk)}
        if self.trunk and self.trunk != self.country:
            prefixes.add(self.trunk)
        return frozenset(prefix + self.national for prefix in prefixes)

    @property
    def _bare(self) -> frozenset[str]:
        return frozenset({self.national})

    @property
    def pattern(self) -> re.Pattern[str]:
        """What finds the number in plain text."""
        return _pattern(self.country, self.trunk, self.national)

    def _is_float(self, text: str) -> bool:
        return self.is_value(float(text)) or self.mentions_value(float(text))


@lru_cache(64)
def _pattern(country: str, trunk: str, national: str) -> re.Pattern[str]:
    def spread(digits: str) -> str:
        return _GAP.join(digits)

    before = [rf"(?:\+|00|011)?{_GAP}{spread(country)}{_GAP}(?:{spread(trunk)}{_GAP})?"] if country else []
    before += [rf"{spread(trunk)}{_GAP}"] if trunk else []
    front = f"(?:{'|'.join(before)})?" if before else ""
    return re.compile(rf"(?<!\d)\+?{front}{spread(national)}(?!\d)")


def _readings(text: str) -> set[str]:
    # As it stands, as a page shows it, and as the address that it may be, which may have been encoded twice.
    found = {plain(text)}
    if "<" in text or "&" in text:
        found.add(plain(unescape(_TAG.sub(" ", text))))
    for _ in range(2):
        if "%" in text:
            text = unquote(text)
            found.add(plain(text.replace("+", " ")))
            found.add(plain(text))
    return found


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
        if kind == "Nd":
            found.append(str(unicodedata.decimal(each)))
        elif kind == "Pd" or each in "\u2212\u02d7\u30fc":
            found.append("-")
        elif kind == "Zs" or each in _BLANK_LETTERS:
            found.append(" ")
        elif kind not in {"Cf", "Mn", "Me"}:
            found.append(each)
    return "".join(found)


def _trunk(parsed: "phonenumbers.PhoneNumber") -> str:
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = PhoneMetadata.metadata_for_region(region, None)
    return str(metadata.national_prefix or "") if metadata else ""


def _hint(region: str) -> str:
    if region:
        return "is not a number that can be dialled in that region"
    return "must be in E.164: plus, country code and number, such as +14155550123; or give its --region"
