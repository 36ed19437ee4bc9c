"""How Redis answers with a hash: names and values in turn."""

from typing import Any


def pairs(flat: list[Any]) -> list[tuple[bytes, bytes]]:
    return list(zip(flat[::2], map(as_bytes, flat[1::2]), strict=True))


def as_bytes(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
