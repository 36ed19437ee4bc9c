"""Where the webhook listens: `::` means every address of the machine, IPv4's as well."""

import socket

import pytest

from roark_producer.webhook.serving.listening import listening


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
@pytest.mark.parametrize(
    ("host", "reached"),
    [("::", {"127.0.0.1", "::1"}), ("[::]", {"127.0.0.1", "::1"}), ("::1", {"::1"}), ("0.0.0.0", {"127.0.0.1"})],
)
@pytest.mark.parametrize("processes", [1, 3])
def test_each_host_is_reached_by_the_addresses_that_it_means(host: str, reached: set[str], processes: int) -> None:
    with listening(host, 0, processes) as listeners:
        port = listeners[0].getsockname()[1]
        assert {address for address in ("127.0.0.1", "::1") if answers(address, port)} == reached


def answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=2).close()
    except OSError:
        return False
    return True
