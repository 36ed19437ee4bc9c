"""Which ports are used: the default one where it is free, another where it is not, never another than was asked for."""

import errno
import socket
from dataclasses import dataclass

from roark_ledger.errors import ConfigurationError


class PortTaken(ConfigurationError):
    """A port that was asked for is in use."""


@dataclass(frozen=True, slots=True)
class Port:
    """A port to listen on; `instead_of` is the default that was taken, 0 where it was not."""

    number: int
    instead_of: int = 0


def choose_port(part: str, host: str, wanted: int, *, asked_for: bool, option: str) -> Port:
    """Return a free port of `host` for `part`.

    Raises PortTaken when the port was asked for by name and is in use, ConfigurationError when nothing can listen
    there. A port that is free now may be taken a moment later by another program; the part then fails to start.
    """
    if wanted == 0:
        return Port(_any_free(host))
    if _is_free(host, wanted):
        return Port(wanted)
    if asked_for:
        raise PortTaken(f"port {wanted} on {host} is in use, so the {part} can't listen there. Choose another {option}")
    return Port(_any_free(host), instead_of=wanted)


def _is_free(host: str, port: int) -> bool:
    try:
        with socket.create_server((host, port), family=_family(host)):
            return True
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise ConfigurationError(f"can't listen on {host}:{port}: {error.strerror}") from None


def _any_free(host: str) -> int:
    with socket.create_server((host, 0), family=_family(host)) as listener:
        return int(listener.getsockname()[1])


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
