"""Passwords as they are kept: scrypt of the standard library, with a salt for each, checked in constant time."""

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode

# 16 MiB and some 100 ms: what OWASP's cheat sheet gives for servers that have little memory.
_N, _R, _P, _BYTES = 2**14, 8, 5, 32
_MOST_MEMORY = 64 * 1024 * 1024


def hashed(password: str) -> str:
    """Return what is kept of a password: `scrypt$N$r$p$salt$hash`."""
    salt = secrets.token_bytes(16)
    digest = _digest(password, salt, _N, _R, _P)
    return "$".join(("scrypt", str(_N), str(_R), str(_P), b64encode(salt).decode(), b64encode(digest).decode()))


def is_password(password: str, kept: str) -> bool:
    """Whether a password is the one of which `kept` is kept. Takes as long where nothing is kept, and says no."""
    try:
        _, n, r, p, salt, digest = kept.split("$")
        found = _digest(password, b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, b64decode(digest))
    except ValueError:
        _digest(password, b"nobody", _N, _R, _P)
        return False


def _digest(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    text = password.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(text, salt=salt, n=n, r=r, p=p, maxmem=_MOST_MEMORY, dklen=_BYTES)
