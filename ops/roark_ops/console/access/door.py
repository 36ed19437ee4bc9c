"""Who asks: by a session's cookie, by a trusted proxy's header, or, on this machine alone, whoever can reach it.

    visitor = door.visitor(request, is_activity=True)      None: they have to sign in

Every way ends in a session, for its token goes into each form: that a browser sends a cookie says whose browser it is,
not that the person meant it.
"""

import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from roark_ledger.urls import split_url
from roark_ops.console.access.roles import Role
from roark_ops.console.access.sessions import BrowserSession, Sessions, same
from roark_ops.console.access.users import Users
from roark_ops.console.settings import Network

COOKIE = "roark_console"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_PROXY, _OPEN = "proxy", "open"


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

    @property
    def asks_for_passwords(self) -> bool:
        """Whether people can sign in here."""
        return self._users.can_sign_in()

    def visitor(self, request: HTTPConnection, *, is_activity: bool) -> Visitor | None:
        """Return who asks; None where they have to sign in. Raises DoorShut where they cannot."""
        cookie = request.cookies.get(COOKIE, "")
        session = self._sessions.find(cookie, is_activity=is_activity)
        if self._is_proxy(request):
            return self._behind_proxy(request, session)
        if self.asks_for_passwords:
            return self._signed_in(session)
        if self._proxies:
            raise DoorShut("Only a proxy that signs people in may connect here, and this request came from elsewhere.")
        self._require_this_machine(request.headers)
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
        self._sessions.end(request.cookies.get(COOKIE, ""))

    def is_own_origin(self, request: HTTPConnection) -> bool:
        """Whether a page of ours sent this, and no other site's."""
        if origin := request.headers.get("origin"):
            try:
                found = split_url(origin)
            except ValueError:
                return False
            ours = {request.headers.get("host", "")} | (
                {split_url(self._public_url).netloc} if self._public_url else set()
            )
            return found.scheme in {"http", "https"} and found.netloc in ours
        return request.headers.get("sec-fetch-site") == "same-origin"

    def is_secure(self, request: HTTPConnection) -> bool:
        """Whether the browser came by https, as far as that can be known."""
        if request.url.scheme == "https" or self._public_url.startswith("https:"):
            return True
        return self._is_proxy(request) and request.headers.get("x-forwarded-proto", "") == "https"

    def _is_proxy(self, request: HTTPConnection) -> bool:
        if not (self._proxies and request.client):
            return False
        try:
            address = ipaddress.ip_address(request.client.host)
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._proxies)

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

    def _require_this_machine(self, headers: Headers) -> None:
        # Another site's page could reach us by a name of its own that leads here; a tunnel would bring strangers.
        host = _host_in(headers.get("host", ""))
        if any(name in headers for name in _FORWARDED) or not _is_this_machine(host):
            raise DoorShut(
                "This console has no users, so it answers only on this machine, at http://127.0.0.1 or "
                "http://localhost. Add users: roark-ingest console user add NAME --role admin"
            )


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
