"""Leaves secrets out of a JSON value that Vapi's API hands out: assistants and phone numbers carry them. Pure.

1. A value in which nothing looks like a secret's name or an address stays the sender's bytes.
2. Else each object in it is printed anew: numbers, strings and everything that is kept stay the bytes they were.
3. Members with a secret's name go, whatever their value is: server secrets, headers, credentials, Twilio's tokens.
   Names are read past escapes, and of members with the same name the last one counts, as in every parser.
   So does the `value` of an object whose `name` or `key` is a secret's: parameters, variables of the environment.
4. An address loses what may authorise its caller: `user:password@` and the query. In any other text a parameter with a
   secret's name loses its value, and so does what stands behind Bearer or Basic.
5. What the caller wrote for himself stays as it is: `metadata` and `variableValues` are his own data.

Which members hold secrets stands in Vapi's OpenAPI document (Server, ImportTwilioPhoneNumberDTO, …Credential);
the names are matched by their endings, so that one which a later version adds is rather left out than let through.
"""

import json
import re
from urllib.parse import urlunsplit

import msgspec

from roark_ledger.errors import InvalidReport
from roark_ledger.urls import split_url
from roark_producer.files.json_elements import ElementScanner
from roark_producer.vapi.slices import members

# Matched against a name's letters and digits, in small letters: serverUrlSecret, server_url_secret, x-api-key.
_SECRET_NAME = re.compile(
    r"secret(?!ar)|passw(or)?d|apikey|authtoken"
    r"|(pwd|passphrase|credentials?|headers?|authorization|basicauth|bearer|cookies?|auth|jwt|signature"
    r"|^pass|(environment|env)(variables?|vars?)|(?<!per)(?<!max)(?<!min)(?<!of)token"
    r"|(api|private|secret|access|signing|encryption|auth|subscription|account|license|master|shared)keys?"
    r"|accesskeyid|connectionstring|privatepem|serviceaccount(json|key)?)$"
)
_OWN_DATA = frozenset({"metadata", "variablevalues"})
_SUSPICIOUS = re.compile(
    rb"\\u|secret|pass|pwd|credential|header|auth|bearer|basic|cookie|token|key|jwt|signature|env|connection|pem"
    rb"|serviceaccount|sip|:\\?/",
    re.IGNORECASE,
)
_NO_LETTER = re.compile(r"[^a-z0-9]")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_SIP_PASSWORD = re.compile(r"(\bsips?:[^\s:@;]*):[^\s@]*@", re.IGNORECASE)
_PARAMETER = re.compile(r"(?<=[?&;])([\w.%-]+)=[^\s&#\"'<>`]+")
_AUTHORISING = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{16,}", re.IGNORECASE)
_NAMES_OF_A_VALUE, _VALUE = ("name", "key"), "value"


def is_secret_name(name: str) -> bool:
    """Whether a member of this name is left out."""
    return _SECRET_NAME.search(_plain(name)) is not None


def without_secrets(value: bytes) -> bytes:
    """Return a JSON value without the secrets in it.

    Raises InvalidReport when it is no JSON, or nested deeper than anything that Vapi sends.
    """
    if not _SUSPICIOUS.search(value):
        return value
    try:
        return _cleaned(value)
    except RecursionError:
        raise InvalidReport("call", "is nested too deeply") from None


def quoted(text: str) -> bytes:
    """Return a string's JSON; half a surrogate pair, which JavaScript cuts texts into, stays an escape."""
    try:
        return msgspec.json.encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def elements(array: bytes) -> list[bytes]:
    """Return the elements of a JSON array as the bytes they were."""
    try:
        return [bytes(element) for element in msgspec.json.decode(array, type=list[msgspec.Raw])]
    except (msgspec.DecodeError, UnicodeDecodeError):
        scanner = ElementScanner(array=True, most_bytes=len(array))
        return [element.body.strip() for element in scanner.feed(array[1:])]


def _cleaned(value: bytes) -> bytes:
    match value[:1]:
        case b"{":
            found = members(value, "call")
            if any(is_secret_name(_string(found.get(name, b""))) for name in _NAMES_OF_A_VALUE):
                found.pop(_VALUE, None)
            kept = (_member(name, inside) for name, inside in found.items())
            return b"{" + b",".join(member for member in kept if member) + b"}"
        case b"[":
            return b"[" + b",".join(_cleaned(element) for element in elements(value)) + b"]"
        case b'"' if _SUSPICIOUS.search(value):
            return _text(value)
        case _:
            return value


def _member(name: str, value: bytes) -> bytes:
    if is_secret_name(name):
        return b""
    kept = value if _plain(name) in _OWN_DATA else _cleaned(value)
    return quoted(name) + b":" + kept


def _text(value: bytes) -> bytes:
    try:
        text = json.loads(value)
        kept = _without_parameters(_address(text) if _ADDRESS.match(text) else text)
    except ValueError:
        # No address that anybody could call. What looks like one is rather left empty than let through.
        return b'""' if b"://" in value[:20] else value
    return value if kept == text else quoted(kept)


def _address(text: str) -> str:
    parts = split_url(text)
    if not parts.query and "@" not in parts.netloc:
        return text
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _without_parameters(text: str) -> str:
    text = _SIP_PASSWORD.sub(r"\1@", text)
    text = _PARAMETER.sub(lambda found: f"{found[1]}=" if is_secret_name(found[1]) else found[0], text)
    return _AUTHORISING.sub(r"\1", text)


def _string(value: bytes) -> str:
    try:
        return str(json.loads(value)) if value[:1] == b'"' else ""
    except ValueError:
        return ""


def _plain(name: str) -> str:
    return _NO_LETTER.sub("", name.lower())
