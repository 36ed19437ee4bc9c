"""A phone number in every form in which systems and people write it. Pure.

    number = PhoneNumber.read("+33612345678")
    number.is_whole("tel:+33-6-12-34-56-78;ext=2")   # this text is the number
    number.is_in("call me at 06 12 34 56 78")        # it stands in this text

All text is brought into one form first (`readings.py`). Then digits are compared: with the country code behind +, 00,
another country's exit code or nothing, also with the trunk prefix in between (+33 (0)6), as it is dialled in its own
country, with noughts before it, as the name of a host in e164.arpa (backwards), and in base64 or hexadecimal digits.

Country codes, trunk prefixes and what else is dialled at home (Argentina's 15) are libphonenumber's.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from html import unescape
from typing import Self
from urllib.parse import unquote

import phonenumbers
from phonenumbers import PhoneMetadata

from roark_ledger.errors import InvalidReport
from roark_ops.erasing.readings import decoded, encoded, plain, readings

_E164 = re.compile(r"\+[1-9]\d{6,14}")
_LAYOUT = re.compile(r"[\s().\-/,·_\[\]]+")
# What may stand between two digits of one number in a text: anything but letters, digits, and what parts hours.
_GAP = r"(?:[^\w:]|_){0,6}"
# Between the digits of a number that is written with colons alone.
_COLON = r"(?:[ ]?:[ ]?)?"
# What is dialled before a country code, besides 00: from North America, Australia, Japan, Russia, Cuba.
_EXIT_CODES = r"(?:\+|0{1,6}|0{0,2}11|0{1,2}10|8[~ ]?10|119)"
_NO_GROUP = "".join(rf"(?<!\b[0-9a-fA-F]{{{length}}}:)" for length in (1, 2, 3, 4))
# Another country's code, or what stands before thousands.
_BEFORE = re.compile(r"(?:(?:\+|\b00)([1-9]\d{0,2})[\s().-]{1,4}|\d[,.'])$")
_MOST_FRONT = 10
_ENUM = re.compile(r"(\d(?:\.\d){6,15})\.?e164\b", re.IGNORECASE)
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
    others: tuple[str, ...] = field(default=())
    """What else is dialled for it, where that does not end with the national number."""

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
        return cls(country, national, _trunk(parsed), bool(region), _others(parsed, national))

    @property
    def e164(self) -> str:
        """The number as `+33612345678`."""
        return f"+{self.country}{self.national}"

    @cached_property
    def cores(self) -> tuple[bytes, ...]:
        """The digits of which every form has some, one behind the other once its layout is taken out."""
        # A float may leave the last noughts out.
        return tuple(digits.rstrip("0").encode() for digits in (self.national, *self.others))

    @cached_property
    def encoded(self) -> tuple[str, ...]:
        """How its digits stand in base64 and in hexadecimal digits."""
        return encoded(self.national)

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
            is_whole = context[1] + digits == self.country + self.national
            return is_whole or (context[1] == self.country and digits == self.trunk + self.national)
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
        found = readings(text)
        if any(self._stands_in(each) for each in found):
            return True
        return self._is_with_colons(found) or self._is_host(text) or self._is_encoded(text)

    def masked(self, text: str, mask: str) -> str:
        """Return a text with this number masked wherever it stands; what has it in another disguise is all masked."""
        if not self.is_in(text):
            return text
        found = self.pattern.sub(mask, plain(text))
        return mask if self.is_in(found) else found

    @cached_property
    def _forms(self) -> frozenset[str]:
        prefixes = {exit_ + self.country + trunk for exit_ in _EXITS for trunk in ("", self.trunk)}
        if self.trunk and self.trunk != self.country:
            prefixes.add(self.trunk)
        return frozenset((*(prefix + self.national for prefix in prefixes), *self.others))

    @property
    def _bare(self) -> frozenset[str]:
        return frozenset({self.national})

    @property
    def pattern(self) -> re.Pattern[str]:
        """What finds the number in plain text."""
        return _pattern(self.country, self.trunk, self.national, self.others, _GAP)

    def _stands_in(self, text: str) -> bool:
        for found in self.pattern.finditer(text):
            if _LAYOUT.sub("", found[0]) != self.national:
                return True
            # What stands before the bare digits may make them a part of another number.
            before = _BEFORE.search(text, max(0, found.start() - _MOST_FRONT), found.start())
            if not before or before[1] == self.country:
                return True
        return False

    def _is_with_colons(self, texts: set[str]) -> bool:
        # No part of an address of hardware or of the internet: those go on.
        digits = _pattern(self.country, self.trunk, self.national, self.others, _COLON).pattern
        pattern = rf"{_NO_GROUP}{digits}(?!:[0-9a-fA-F:]|[.,]\d)"
        return any(re.search(pattern, each) for each in texts if ":" in each)

    def _is_host(self, text: str) -> bool:
        dialled = {self.country + self.national, *self._forms, *self._bare}
        return any(found[1].replace(".", "")[::-1] in dialled for found in _ENUM.finditer(plain(text)))

    def _is_encoded(self, text: str) -> bool:
        return any(
            self.pattern.search(said) for each in self.encoded if each in text for said in decoded(text, around=each)
        )

    def _is_float(self, text: str) -> bool:
        return self.is_value(float(text)) or self.mentions_value(float(text))


@lru_cache(64)
def _pattern(country: str, trunk: str, national: str, others: tuple[str, ...], gap: str) -> re.Pattern[str]:
    def spread(digits: str) -> str:
        return gap.join(digits)

    before = [rf"(?:{_EXIT_CODES}{gap})?{spread(country)}{gap}(?:{spread(trunk)}{gap})?"] if country else []
    before += [rf"0{{0,5}}{spread(trunk)}{gap}"] if trunk else []
    front = rf"(?:{'|'.join((*before, '0{1,5}'))})?"
    ends = "|".join((front + spread(national), *map(spread, others)))
    return re.compile(rf"(?<!\d)\+?(?:{ends})(?!\d)")


def _trunk(parsed: "phonenumbers.PhoneNumber") -> str:
    region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
    metadata = PhoneMetadata.metadata_for_region(region, None)
    return str(metadata.national_prefix or "") if metadata else ""


def _hint(region: str) -> str:
    if region:
        return "is not a number that can be dialled in that region"
    return "must be in E.164: plus, country code and number, such as +14155550123; or give its --region"


def _others(parsed: "phonenumbers.PhoneNumber", national: str) -> tuple[str, ...]:
    shown = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.NATIONAL)
    digits = "".join(filter(str.isdigit, shown))
    found = () if digits in {national, _trunk(parsed) + national} else (digits,)
    # Mexico's mobile numbers were dialled with a 1 until 2019.
    return (*found, f"521{national}") if parsed.country_code == _MEXICO else found


_MEXICO = 52
