"""The HMAC signature that a Vapi credential can put on its requests, checked over the raw bytes.

Vapi's plan for it (its OpenAPI document, schema HMACAuthenticationPlan) and the settings that mirror it:

    algorithm, secretIsBase64              ROARK_INGEST_WEBHOOK_HMAC, …_SECRET_IS_BASE64
    signatureHeader, signaturePrefix       …_SIGNATURE_HEADER, …_SIGNATURE_PREFIX
    signatureEncoding                      …_SIGNATURE_ENCODING
    timestampHeader, includeTimestamp      …_TIMESTAMP_HEADER; empty means that none is included
    payloadFormat, messageIdHeader         …_PAYLOAD_FORMAT, …_MESSAGE_ID_HEADER

0. what the headers tell is judged before the body is read: whether there is a signature that could be one, a fresh
   timestamp, a message id;
1. the payload is the format with its placeholders filled in;
2. a timestamp is demanded, and must be fresh, where the format signs it: an unsigned one proves nothing;
3. each valid secret, and each URL that the sender may have meant, gives a signature that would be right; the
   given one is compared with all of them.

A proxy hides the URL that Vapi called, so `{url}` is tried with http and https, with Host and
X-Forwarded-Host, and as the bare path. Trying several is safe: none can be signed without the secret.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping

from roark_ledger.errors import ConfigurationError
from roark_producer.settings import WebhookSettings
from roark_producer.webhook.door.authentication import DoorReason, DoorRefused, DoorVerdict, Granted, Inbound, header

_PLACEHOLDER = re.compile(r"(\{[A-Za-z-]+\})")
_KNOWN = frozenset({"{timestamp}", "{body}", "{method}", "{url}", "{svix-id}"})
_DEFAULT_FORMAT = "{timestamp}.{body}"
_UNIX_TIME = re.compile(rb"\d{1,16}(?:\.\d{1,9})?")
_MS_FROM = 1e11  # as seconds the year 5138, as milliseconds 1973: what is larger is milliseconds
_STANDARD_BASE64 = str.maketrans("-_", "+/")


class SignatureGate:
    """Lets those pass who sign with a secret."""

    reads_body = True

    def __init__(self, settings: WebhookSettings) -> None:
        """Raises ConfigurationError when the signature's settings contradict each other."""
        self._algorithm = settings.webhook_hmac
        self._hex = settings.webhook_signature_encoding == "hex"
        self._prefix = settings.webhook_signature_prefix.encode()
        self._signature_header = settings.webhook_signature_header.lower().encode()
        self._timestamp_header = settings.webhook_timestamp_header.lower().encode()
        self._timestamp_seconds = settings.webhook_timestamp_seconds
        self._message_id_header = settings.webhook_message_id_header.lower().encode()
        self._parts = _parts(settings.webhook_payload_format, timestamped=bool(self._timestamp_header))
        self._keys = _keys(settings)
        self._form = self._form_of_a_signature()

    def judge_head(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return whether the headers lack what a right signature needs."""
        given = header(inbound.headers, self._signature_header)
        if not given:
            return DoorRefused(DoorReason.NO_SIGNATURE)
        timestamp = header(inbound.headers, self._timestamp_header)
        if "{timestamp}" in self._parts and (reason := self._stale(timestamp, now)):
            return DoorRefused(reason)
        if "{svix-id}" in self._parts and not header(inbound.headers, self._message_id_header):
            return DoorRefused(DoorReason.NO_MESSAGE_ID)
        return Granted() if self._form.fullmatch(given) else DoorRefused(DoorReason.WRONG_SIGNATURE)

    def judge(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return whether the signature is right and fresh."""
        if isinstance(refused := self.judge_head(inbound, now), DoorRefused):
            return refused
        given = header(inbound.headers, self._signature_header)
        timestamp = header(inbound.headers, self._timestamp_header)
        message_id = header(inbound.headers, self._message_id_header)
        values = {
            "{body}": inbound.body,
            "{method}": inbound.method.encode(),
            "{timestamp}": timestamp,
            "{svix-id}": message_id,
        }
        urls = _urls(inbound) if "{url}" in self._parts else [b""]
        right = [self._signature(key, values | {"{url}": url}) for key in self._keys for url in urls]
        matches = [hmac.compare_digest(self._normal(given), one) for one in right]
        return Granted() if any(matches) else DoorRefused(DoorReason.WRONG_SIGNATURE)

    def signed(self, body: bytes, url: str, now: float) -> dict[str, str]:
        """Return the headers by which a POST of `body` to `url` passes, for who wants to try the way to the webhook."""
        at, message_id = str(int(now)).encode(), b"roark-ingest-doctor"
        values = {
            "{body}": body,
            "{method}": b"POST",
            "{timestamp}": at,
            "{svix-id}": message_id,
            "{url}": url.encode(),
        }
        signature = self._signature(self._keys[0], values)
        headers = {self._signature_header: signature, self._message_id_header: message_id}
        headers |= {self._timestamp_header: at} if self._timestamp_header else {}
        return {name.decode(): value.decode() for name, value in headers.items() if name}

    def _stale(self, timestamp: bytes, now: float) -> DoorReason | None:
        if not timestamp:
            return DoorReason.NO_TIMESTAMP
        if not _UNIX_TIME.fullmatch(timestamp):
            return DoorReason.UNREADABLE_TIMESTAMP
        signed_at = float(timestamp)
        if signed_at > _MS_FROM:
            signed_at /= 1000
        return None if abs(now - signed_at) <= self._timestamp_seconds else DoorReason.STALE_TIMESTAMP

    def _signature(self, key: bytes, values: Mapping[str, bytes]) -> bytes:
        digest = hmac.new(key, digestmod=self._algorithm)
        for part in self._parts:
            digest.update(values[part] if part in values else part.encode())
        return self._prefix + (digest.hexdigest().encode() if self._hex else base64.b64encode(digest.digest()))

    def _form_of_a_signature(self) -> re.Pattern[bytes]:
        size = hashlib.new(self._algorithm).digest_size
        letters = rb"[0-9A-Fa-f]{%d}" % (2 * size)
        if not self._hex:
            letters = rb"[A-Za-z0-9+/]{%d}=*" % len(base64.b64encode(bytes(size)).rstrip(b"="))
        return re.compile(re.escape(self._prefix) + letters)

    def _normal(self, given: bytes) -> bytes:
        start = len(self._prefix)
        return given[:start] + given[start:].lower() if self._hex else given


def _parts(payload_format: str, *, timestamped: bool) -> tuple[str, ...]:
    """Return the payload format cut at its placeholders."""
    if payload_format == _DEFAULT_FORMAT and not timestamped:
        payload_format = "{body}"
    parts = tuple(part for part in _PLACEHOLDER.split(payload_format) if part)
    for part in parts:
        if _PLACEHOLDER.fullmatch(part) and part not in _KNOWN:
            raise ConfigurationError(
                f"ROARK_INGEST_WEBHOOK_PAYLOAD_FORMAT contains {part}; allowed are {sorted(_KNOWN)}"
            )
    if "{body}" not in parts:
        raise ConfigurationError("ROARK_INGEST_WEBHOOK_PAYLOAD_FORMAT lacks {body}: anyone could change the report")
    if "{timestamp}" in parts and not timestamped:
        raise ConfigurationError("ROARK_INGEST_WEBHOOK_PAYLOAD_FORMAT has {timestamp}, but no timestamp header is set")
    return parts


def _keys(settings: WebhookSettings) -> list[bytes]:
    secrets = settings.secrets()
    if not settings.webhook_secret_is_base64:
        # Blanks around a secret get lost on the way here or to Vapi; a key that has them is another key.
        as_given = settings.vapi_secret.get_secret_value().strip("\r\n") if settings.vapi_secret else ""
        return [secret.encode() for secret in dict.fromkeys((*secrets, as_given)) if secret]
    # No base64 has a comma or a line end in it: a text with one is several.
    single = [secret for secret in secrets if not re.search(r"[,\r\n]", secret)]
    return [_from_base64(secret) for secret in single or secrets]


def _from_base64(secret: str) -> bytes:
    text = secret.translate(_STANDARD_BASE64).rstrip("=")
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ConfigurationError("ROARK_INGEST_VAPI_SECRET is not base64, but ROARK_INGEST_WEBHOOK_SECRET_IS_BASE64=1")
    return key


def _urls(inbound: Inbound) -> list[bytes]:
    hosts = {header(inbound.headers, name) for name in (b"host", b"x-forwarded-host")} - {b""}
    whole = [scheme + host + inbound.target for host in hosts for scheme in (b"https://", b"http://")]
    return [inbound.target, *whole]
