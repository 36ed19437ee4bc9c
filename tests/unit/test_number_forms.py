"""Odd forms of phone numbers: those that are found, those that the certificate names, and what is no number of hers."""

# ruff: noqa: RUF001 digits of other scripts are what this is about

import base64
import hashlib
import json
import random
import time
import uuid
from typing import Any

import phonenumbers
import pytest
from offenders import for_each
from phonenumbers import PhoneNumberFormat, PhoneNumberType

from roark_ops.erasing.certificate import BEYOND
from roark_ops.erasing.numbers import PhoneNumber
from roark_ops.erasing.searching import Sought

HERS = Sought((PhoneNumber.read("+33612345678"),))


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def said(*pieces: str, **more: object) -> list[dict[str, object]]:
    return [{"role": "user", "message": piece, "time": 1.7e12 + place} | more for place, piece in enumerate(pieces)]


FOUND: tuple[Any, ...] = (
    "06:12:34:56:78", "+33:6:12:34:56:78", "Phone:06:12:34:56:78", "0612:345678", "06 : 12 : 34 : 56 : 78",
    "8.7.6.5.4.3.2.1.6.3.3.e164.arpa", "8.7.6.5.4.3.2.1.6.3.3.E164.ARPA.", "sip:x@8.7.6.5.4.3.2.1.6.3.3.e164.arpa",
    "00033612345678", "000612345678", "0000612345678", "+033612345678", "00 00 33 6 12 34 56 78",
    "001133612345678", "01033612345678", "81033612345678", "8~1033612345678", "11933612345678",
    "+33612345678;ext=55", "+33612345678,,55", "+33612345678p55", "tel:12345678;phone-context=+336",
    'P-Asserted-Identity: "Marie" <sip:+33612345678@x.example;user=phone>', "Diversion: <sip:0612345678@x>;reason=no",
    "sip:+33612345678;npdi@x", "sip:33612345678%3Bext=5@x", "33612345678@s.whatsapp.net", "facetime://+33612345678",
    "https://api.whatsapp.com/send?phone=33612345678", "signal.me/#p/+33612345678", "smsto:+33612345678:hello",
    '<say-as interpret-as="digits">06</say-as><break time="300ms"/><say-as interpret-as="digits">12345678</say-as>',
    '0<break time="200ms"/>6<break time="200ms"/>12345678', "06<break time='1s'/>12<break/>34<pause 5/>56<x 1>78",
    "zero six one two three four five six seven eight", "Oh six, one two; three four, five six... seven eight.",
    "double zero three three six one two three four five six seven eight",
    "零六一二三四五六七八", "〇六 一二 三四 五六 七八", "⓿❻❶❷❸❹❺❻❼❽", "０６・１２・３４・５６・７８",
    packed("+33612345678"), packed('{"n":"0612345678"}'), packed("a0612345678b"), "data:," + packed("0612345678"),
    "eyJhbGciOiJIUzI1NiJ9." + packed('{"sub":"+33612345678"}').rstrip("=") + ".c2ln",
    b"+33612345678".hex(), "0x" + b"tel:0612345678".hex().upper(), "id_" + b"0612345678".hex(),
    r"\x2b33612345678", r"\x30\x36\x31\x32\x33\x34\x35\x36\x37\x38", r"\u{30}\u{36}12345678", r"\\u0030612345678",
    "User: 06 12\nAI: yes?\nUser: 34 56 78", "AI: go on\nUser: 06 12\nUser: 34 56 78",
    said("06 12", "34 56 78"), said("zero six one two", "three four five six seven eight"),
    [*said("06 12"), {"role": "bot", "message": "yes", "time": 1.7e12}, *said("34 56 78")],
    [{"word": word, "start": 1.25 * place} for place, word in enumerate(["06", "12", "34", "56", "78"])],
    {"words": [{"text": digit, "confidence": 0.9} for digit in "0612345678"]}, "*31#0612345678", "9,0612345678",
    {"countryCode": 33, "number": "612345678"}, "BEGIN:VCARD\nTEL:+33612345678\nEND:VCARD",
)  # fmt: skip
NOT_LOOKED_AT = (
    "zéro six douze trente-quatre cinquante-six soixante-dix-huit", "06 twelve 34 56 78", "null sechs eins zwei drei",
    "06l2345678", "1-800-FLOWERS", "0x7d373b14e", packed("+33 6 12 34 56 78"), "90612345678", "06123456780612345678",
    "06 12 (at 10:15) 34 56 78",
)  # fmt: skip


@for_each("form", FOUND)
def test_it_is_found(form: object) -> None:
    for ascii_only in (True, False):
        report = {"call": {"id": "c"}, "note": form}
        assert HERS.places_in(json.dumps(report, ensure_ascii=ascii_only).encode()), ascii_only


def test_what_is_not_found_is_named_by_every_certificate() -> None:
    (said_of_it,) = [place.why for place in BEYOND if place.name == "inside reports"]
    assert not any(HERS.places_in(json.dumps({"note": form}).encode()) for form in NOT_LOOKED_AT)
    for words in ("numbers in words (but English digits)", "in letters", "other numbers in between", "encoded text"):
        assert words in said_of_it


def not_found(region: str) -> list[str]:
    """The forms of a region's numbers, at home and from elsewhere, in which they are not found."""
    missed = []
    for kind in (PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE):
        if not (number := phonenumbers.example_number_for_type(region, kind)):
            continue
        sought = Sought((PhoneNumber.read(phonenumbers.format_number(number, PhoneNumberFormat.E164)),))
        forms = [phonenumbers.format_number(number, each) for each in (1, 2, 3)]
        forms += [phonenumbers.format_out_of_country_calling_number(number, each) for each in ("US", "AU", "RU")]
        forms += ["".join(filter(str.isdigit, form)) for form in forms]
        missed += [form for form in forms if not sought.places_in(json.dumps({"a": form}).encode())]
    return missed


@for_each("region", ("FR", "DE", "GB", "US", "IT", "ES", "IN", "JP", "BR", "RU", "HU", "AR", "BY", "MX"))
def test_numbers_are_found_as_they_are_dialled_at_home_and_from_elsewhere(region: str) -> None:
    assert not not_found(region)


def test_mexicos_numbers_of_earlier_are_found() -> None:
    assert Sought((PhoneNumber.read("+525512345678"),)).places_in(b'{"a":"+52 1 55 1234 5678"}')


@pytest.mark.sweep
def test_every_countrys_numbers_are_found() -> None:
    assert not [form for region in sorted(phonenumbers.SUPPORTED_REGIONS) for form in not_found(region)]


def innocent(chance: random.Random) -> list[Any]:
    """What has digits, and some of hers, but is not her number."""
    digit = chance.choice("1245678")
    other = f"+33{chance.randrange(620_000_000, 799_999_999)}"
    moment = 1_600_000_000 + chance.randrange(10**8)
    return [
        f"{moment % 10**4 / 100:.2f} EUR", moment, moment * 1000 + 612, moment / 7, f"€ {digit},612,345,678.00",
        time.strftime("%FT%TZ", time.gmtime(moment)), f"2025-01-06 12:34:56.78{digit}", "2025-01-06T12:34:56.780+01:00",
        "06/12/34 56:78", f"at 06:12, 34 {digit} 56 78", str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        hashlib.sha256(other.encode()).hexdigest(), f"{chance.getrandbits(256):x}", f"ORD-{digit}612345678", other,
        f"+33612345678{digit}", f"0612345678{digit}", f"{digit}612345678", "+33612345687", "0621345678", "+3361234567",
        "06123456", f"{digit}061234567", f"+44 6 12 34 56 78, +4{digit} 612 345 678", "0044 612345678", "+44612345678",
        "+1 (612) 345-6789", "1612345678", f"06:12:34:56:78:9{digit}", "aa:06:12:34:56:78", "fe80:06:12:34:56:78::1",
        "10.6.12.34", {"price": 6.12, "cost": 0.345678, "seconds": 61.2345678}, [612, 345, 679],
        {"a": "0612", "b": "345679"}, packed(other), packed("+1612345678"), other.encode().hex(), "0x2b33363132",
        "seven six five four three two one", said("06 12", "34 56", other), f'<break time="612ms"/>34 56 7{digit}9',
        [{"word": "six", "start": 1.2}, {"word": "12", "end": 34.5678}], "8.7.6.5.4.3.2.1.6.4.4.e164.arpa",
    ]  # fmt: skip


def test_nobody_elses_report_is_taken_for_hers() -> None:
    chance = random.Random(18)
    notes = [note for _ in range(5) for note in innocent(chance)]
    assert len(notes) > 200
    assert not [note for note in notes if HERS.places_in(json.dumps({"note": note}).encode())]


PIECES = (
    "\\",
    "\n",
    "<",
    "06 12 ",
    "zero ",
    "%25",
    "612345678 ",
    "NjEyMzQ1Njc4",
    "a: 612345678\n",
    "1.2.",
    "0:6:",
    "+44 ",
)


@for_each("piece", PIECES)
def test_no_text_takes_long(piece: str) -> None:
    text = piece * (40_000 // len(piece))
    began = time.process_time()
    HERS.places_in(json.dumps({"note": text + " 8.7.6.5.4.3.2.1.6.e164 612345678x"}).encode())
    assert time.process_time() - began < 1
