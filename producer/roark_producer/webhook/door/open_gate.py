"""The gate where no secret is set: for trying things out on one machine, and for nothing else. Pure.

The webhook listens on loopback then, but a proxy, a tunnel or a web page in a browser here can ask it for others.
Such a request is known by its headers, and does not pass:

    a proxy says for whom it asks     Forwarded, X-Forwarded-For and the like, Via, what tunnels and clouds add
    another name for this machine     Host is neither localhost nor a loopback address: a tunnel, or DNS rebinding
    a web page of another origin      Origin, which browsers send with each POST, or Sec-Fetch-Site
"""

import ipaddress

from roark_ledger.urls import split_url
from roark_producer.webhook.door.authentication import (
    DoorReason,
    DoorRefused,
    DoorVerdict,
    Granted,
    Headers,
    Inbound,
    header,
)

_FOR_OTHERS = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"true-client-ip",
        b"x-envoy-external-address",
    }
    | {b"x-original-host", b"x-original-forwarded-for", b"cdn-loop", b"fastly-client-ip", b"fly-client-ip"}
)
_FOR_OTHERS_BEGIN = (b"x-forwarded-", b"cf-", b"tailscale-")
_SAME_SITE = frozenset({b"", b"same-origin", b"none"})


class OpenGate:
    """Lets those pass who ask this machine directly."""

    reads_body = False

    def judge_head(self, inbound: Inbound, now: float) -> DoorVerdict:
        """Return what `judge` does: the headers tell all."""
        return self.judge(inbound, now)

    def judge(self, inbound: Inbound, _now: float) -> DoorVerdict:
        """Return whether the request comes from this machine, for itself."""
        if any(name in _FOR_OTHERS or name.startswith(_FOR_OTHERS_BEGIN) for name, _ in inbound.headers):
            return DoorRefused(DoorReason.FORWARDED)
        hosts = [value.strip() for name, value in inbound.headers if name == b"host"]
        if not all(_is_here(host) for host in hosts):
            return DoorRefused(DoorReason.FOREIGN_HOST)
        if not _is_of_no_other_page(inbound.headers, hosts):
            return DoorRefused(DoorReason.CROSS_SITE)
        return Granted()


def _is_of_no_other_page(headers: Headers, hosts: list[bytes]) -> bool:
    origins = [value.strip().lower() for name, value in headers if name == b"origin"]
    own = {scheme + host.lower() for host in hosts for scheme in (b"http://", b"https://")}
    return header(headers, b"sec-fetch-site").strip().lower() in _SAME_SITE and all(each in own for each in origins)


def _is_here(host: bytes) -> bool:
    try:
        name = split_url("//" + host.decode("ascii")).hostname or ""
        return name == "localhost" or name.endswith(".localhost") or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
