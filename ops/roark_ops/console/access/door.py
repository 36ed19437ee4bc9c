"""Who asks: by a session's cookie, by a trusted proxy's header, or, on this machine alone, whoever can reach it.

    visitor = door.visitor(request, is_activity=True)      None: they have to sign in

Every way ends in a session, for its token goes into each form: that a browser sends a cookie says whose browser it is,
not that the person meant it.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

from starlette.requests import HTTPConnection

from roark_ledger.urls import split_url
from roark_ops.console.access.roles import Role
from roark_ops.console.access.sessions import BrowserSession, Sessions, same
from roark_ops.console.access.users import Users
from roark_ops.console.settings import Network

COOKIE = "roark_console"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_PROXY, _OPEN = "proxy", "open"
_PORTS = {"http": 80, "https": 443}
_MOST_COOKIES = 200
Origin = tuple[str, str, int]
"""Scheme, host and port."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks, and what they may do. `cookie` is to be set where it is not "".

    `way` is how they came in: `password`, `proxy` or `open`.
    """

    name: str
    role: Role
    token: str
    way: str
    cookie: str = ""


class DoorShut(Exception):
    """Nobody may pass like this; says why, for a person."""


class Door:
    """Knows who may pass. `me` names the operator where nobody has to sign in."""

    def __init__(
        self,
        users: Users,
        sessions: Sessions,
        *,
        proxies: Sequence[Network],
        header: str,
        public_url: str,
        me: Callable[[], str],
    ) -> None:
        self._users = users
        self._sessions = sessions
        self._proxies = proxies
        self._header = header
        self._public_url = public_url
        self._me = me
        # Who began with users never opens to all: a file that is lost, or emptied, lets nobody in.
        self._is_open = not (proxies or users.can_sign_in())

    @property
    def asks_for_passwords(self) -> bool:
        """Whether people can sign in here."""
        return self._users.can_sign_in()

    def visitor(self, request: HTTPConnection, *, is_activity: bool) -> Visitor | None:
        """Return who asks; None where they have to sign in. Raises DoorShut where they cannot."""
        session = self._session(request, is_activity=is_activity)
        if self._is_proxy(request):
            return self._behind_proxy(request, session)
        if self.asks_for_passwords:
            return self._signed_in(session)
        if self._proxies:
            raise DoorShut("Only a proxy that signs people in may connect here, and this request came from elsewhere.")
        if not self._is_open:
            raise DoorShut(
                "This console's users are gone, so every visitor is refused. Add them again: "
                "roark-ingest console user add NAME --role admin"
            )
        self._require_this_machine(request)
        return self._with_session(self._me(), Role.ADMIN, _OPEN, session)

    def sign_in(self, name: str, password: str) -> Visitor | None:
        """Begin a new session for whom name and password belong to; None where they do not."""
        user = self._users.signed_in(name, password)
        if user is None:
            return None
        cookie, session = self._sessions.begin(user.name, user.kept)
        return Visitor(user.name, user.role, session.token, "password", cookie)

    def sign_out(self, request: HTTPConnection) -> None:
        """End the session of whoever asks."""
        for cookie in cookies_of(request):
            self._sessions.end(cookie)

    def is_own_origin(self, request: HTTPConnection) -> bool:
        """Whether a page of ours sent this, and no other site's."""
        site = request.headers.get("sec-fetch-site", "")
        origins = request.headers.getlist("origin")
        if not origins:
            return site == "same-origin"
        found = _origin(origins[0])
        return len(origins) == 1 and site in {"", "same-origin"} and found is not None and found in self._ours(request)

    def is_secure(self, request: HTTPConnection) -> bool:
        """Whether the browser came by https, as far as that can be known."""
        if request.scope["scheme"] == "https" or self._public_url.startswith("https:"):
            return True
        return self._is_proxy(request) and request.headers.get("x-forwarded-proto", "") == "https"

    def address_of(self, request: HTTPConnection) -> str:
        """Return the address of whoever asks: behind a proxy of the list what that says, which it writes last."""
        told = ",".join(request.headers.getlist("x-forwarded-for")).rpartition(",")[2].strip()
        if told and self._is_proxy(request):
            return told[:64]
        return request.client.host if request.client else ""

    def _ours(self, request: HTTPConnection) -> set[Origin]:
        host, public = request.headers.get("host", ""), _public(self._public_url)
        found = {each for scheme in _PORTS if (each := _origin(f"{scheme}://{host}"))}
        if not public:
            return found
        # A Host without a port does not say by which scheme. Our public address does: plain http there is not us.
        return {each for each in found if each[1] != public[1] or each[2] not in _PORTS.values()} | {public}

    def _session(self, request: HTTPConnection, *, is_activity: bool) -> BrowserSession | None:
        # Another site below our name can lay a cookie beside ours. Of two sessions we know not which is meant: neither.
        found = [self._sessions.find(cookie, is_activity=is_activity) for cookie in cookies_of(request)]
        sessions = [each for each in found if each]
        return sessions[0] if len(sessions) == 1 else None

    def _is_proxy(self, request: HTTPConnection) -> bool:
        address = _address_of(request)
        return address is not None and any(address in network for network in self._proxies)

    def _behind_proxy(self, request: HTTPConnection, session: BrowserSession | None) -> Visitor | None:
        named = [value.strip() for value in request.headers.getlist(self._header)]
        if len(named) > 1:
            raise DoorShut(f"The proxy sent {self._header} more than once.")
        if not named or not named[0]:
            if self.asks_for_passwords:
                return self._signed_in(session)
            raise DoorShut(f"The proxy did not say who you are: {self._header} is missing.")
        user = self._users.find(named[0])
        return self._with_session(named[0][:64], user.role if user else Role.VIEWER, _PROXY, session)

    def _signed_in(self, session: BrowserSession | None) -> Visitor | None:
        user = self._users.find(session.name) if session else None
        # With another password the old sessions are over, and so are those of a user who was removed.
        if session is None or user is None or not user.kept or not same(session.mark, user.kept):
            return None
        return Visitor(user.name, user.role, session.token, "password")

    def _with_session(self, name: str, role: Role, way: str, session: BrowserSession | None) -> Visitor:
        if session and session.name == name and session.mark == way:
            return Visitor(name, role, session.token, way)
        cookie, begun = self._sessions.begin(name, way)
        return Visitor(name, role, begun.token, way, cookie)

    def _require_this_machine(self, request: HTTPConnection) -> None:
        # Another site's page could reach us by a name of its own that leads here; a tunnel would bring strangers.
        headers, address = request.headers, _address_of(request)
        is_near = address is not None and address.is_loopback
        hosts = [_host_in(each) for each in headers.getlist("host")]
        if not (is_near and hosts and all(map(_is_this_machine, hosts))) or any(name in headers for name in _FORWARDED):
            raise DoorShut(
                "This console has no users, so it answers only on this machine, at http://127.0.0.1 or "
                "http://localhost. Add users: roark-ingest console user add NAME --role admin"
            )


def cookies_of(request: HTTPConnection) -> set[str]:
    """Return what the browser says that it holds for us: more than one where somebody laid another one beside ours."""
    pairs = (pair.strip().partition("=") for header in request.headers.getlist("cookie") for pair in header.split(";"))
    return {value for name, _, value in islice(pairs, _MOST_COOKIES) if name == COOKIE}


def _address_of(request: HTTPConnection) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(request.client.host if request.client else "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _origin(text: str) -> Origin | None:
    """Return scheme, host and port of an origin; None where it is none."""
    try:
        parts = split_url(text)
    except ValueError:
        return None
    port = parts.port or _PORTS.get(parts.scheme)
    is_bare = not (parts.path or parts.query or parts.fragment or "@" in parts.netloc)
    return (parts.scheme, parts.hostname, port) if is_bare and parts.hostname and port else None


def _public(url: str) -> Origin | None:
    parts = split_url(url)
    return _origin(f"{parts.scheme}://{parts.netloc}")


def _host_in(header: str) -> str:
    try:
        return split_url(f"//{header}").hostname or ""
    except ValueError:
        return ""


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
