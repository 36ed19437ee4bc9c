"""Why a Redis could not be used, in one line: the cause, the setting, the server, and what to do where that is known.

redis-py and kombu wrap what happened in errors of theirs, some as text only; so the whole chain is looked at. No
message quotes theirs, which may hold an argument.
"""

import re
import socket
import ssl
from collections.abc import Iterator

from roark_ledger.server.redis_url import RedisPlace

SERVERS_PAGE = "ops/docs/servers.md"
_DENIED_COMMAND = re.compile(r"permissions? to run the '([\w|-]+)' command", re.IGNORECASE)
_UNKNOWN_COMMAND = re.compile(r"unknown (?:sub)?command[,:]? [`'\"]?([\w|]+)", re.IGNORECASE)
# What the words of Redis, of OpenSSL or of the system mean. The first that is found counts.
_TEXTS: tuple[tuple[str, str], ...] = (
    (
        r"handshake operation timed out",
        "the TLS handshake got no answer; if the server does not use TLS there, use redis://",
    ),
    (
        r"CERTIFICATE_REQUIRED|alert certificate required",
        "it requires a client certificate: set ssl_certfile and ssl_keyfile",
    ),
    (
        r"WRONG_VERSION_NUMBER|RECORD_LAYER_FAILURE|wrong version number|record layer failure",
        "the TLS handshake failed: the server does not use TLS there; use redis://, or its TLS port",
    ),
    (
        r"Client sent AUTH, but no password is set|without any password configured",
        "a password is set here, but the server has none",
    ),
    (r"WRONGPASS|invalid username-password|invalid password", "wrong user name or password"),
    (
        r"NOAUTH|Authentication required|HELLO must be called with the client already authenticated",
        "it requires a password",
    ),
    (r"max number of clients", "it has too many clients (maxclients)"),
    (r"protected mode", "it is in protected mode: give it a password"),
    (r"DB index is out of range", "it has no database with that number"),
    (r"READONLY|previous master is now a slave", "it is a replica and accepts no writes"),
    (r"Connection refused|refused", "connection refused"),
    (
        r"Name or service not known|No address associated|name resolution|nodename nor servname",
        "its host name cannot be resolved (DNS)",
    ),
    (r"No route to host|Network is unreachable", "no route to it (network, firewall)"),
    (r"CERTIFICATE_VERIFY_FAILED", "its certificate is not trusted; set ssl_ca_certs to the CA's file"),
    (r"\[SSL|\bSSL\b|EOF occurred in violation", "the TLS handshake failed"),
    (r"No such file or directory", "no such socket"),
    (r"Permission denied", "permission denied"),
    (r"[Tt]imed? ?out|Timeout", "no answer in time"),
    (r"Connection reset|Connection closed|closed by server|Broken pipe", "it closed the connection"),
)


def cause_of(error: BaseException, place: RedisPlace | None = None) -> str:
    """Return the cause, with the setting and the server behind it where `place` tells them."""
    return f"{_cause(error, place)}{where(place)}"


def where(place: RedisPlace | None) -> str:
    """Return the setting and the server in brackets, "" where they are not known."""
    if place is None:
        return ""
    embedded = place.socket.endswith("/valkey/valkey.sock")
    return f" ({'the embedded server' if embedded else place.setting}: {place})"


def _cause(error: BaseException, place: RedisPlace | None) -> str:
    chain = list(_chain(error))
    texts = " ".join(str(each) for each in chain)
    if place and place.master and (cause := _of_sentinels(texts, place)):
        return cause
    # A cluster's own error has asked for its causes already (`cluster.py`).
    if told := next((each.in_words for each in chain if hasattr(each, "in_words")), None):
        return str(told)
    for each in chain:
        match each:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {each.verify_message}{_ca_hint(each, place)}"
            case socket.gaierror():
                return "its host name cannot be resolved (DNS)"
    cause = _by_text(texts) or next((type(each).__name__ for each in chain), "")
    if cause == "it closed the connection" and place and place.hosts and place.tls is None:
        scheme = "rediss+sentinel" if place.master else "rediss+cluster" if place.cluster else "rediss"
        return f"{cause}; if it requires TLS, use {scheme}://"
    return cause


def _of_sentinels(texts: str, place: RedisPlace) -> str | None:
    # redis-py keeps no more than the class of what happened with each Sentinel.
    _, missed, told = texts.partition("No master found")
    if not missed:
        return None
    kinds = set(re.findall(r"- (?:\w+:)?(\w+Error)\b", told))
    if not kinds:
        return f"the Sentinels know no working primary named {place.master}"
    if any("Authentication" in kind for kind in kinds):
        return "a Sentinel requires another password: set sentinel_password"
    if kinds == {"TimeoutError"}:
        return "no Sentinel answered in time"
    return "no Sentinel is reachable: nothing listens there, or its TLS setting differs (sentinel_tls)"


def _by_text(text: str) -> str | None:
    return next((cause for pattern, cause in _TEXTS if re.search(pattern, text)), None)


def _ca_hint(error: ssl.SSLCertVerificationError, place: RedisPlace | None) -> str:
    if "ostname" in error.verify_message or "IP address" in error.verify_message:
        return ""
    return "" if place and (place.tls or {}).get("ssl_ca_certs") else "; set ssl_ca_certs to the CA's file"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def missing_permission(error: BaseException) -> str | None:
    """Return what an ACL does not grant us, or the server does not know; None when that is not what `error` says."""
    # The server's own words first: ours, around them, name no command.
    for each in reversed(tuple(_chain(error))):
        text = str(each)
        if found := _UNKNOWN_COMMAND.search(text):
            return f"it does not know the command {found[1].upper()}; required commands: {SERVERS_PAGE}"
        if "without MULTI" in text:
            return f"its ACL does not grant our user +multi; what to grant: {SERVERS_PAGE}"
        if "does not grant our user" in text:
            # An error of ours, which says it in our words already; what Redis said stands behind it.
            continue
        if not re.search(r"NOPERM|No permissions|no permissions|can't run this command|can't access", text):
            continue
        if found := _DENIED_COMMAND.search(text):
            what = f"+{found[1].lower()}"
        elif "channel" in text:
            what = "channels (&…)"
        elif "key" in text:
            what = "the keys (~…)"
        else:
            what = "a command"
        return f"its ACL does not grant our user {what}; what to grant: {SERVERS_PAGE}"
    return None
