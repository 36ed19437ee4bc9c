"""Sessions: who is signed in, on which browser, until when. Kept in memory, by the hash of what the cookie holds.

A sign-in makes a new session whatever cookie came with it, so that nobody can lay one under somebody else's door.
"""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

_MOST = 2_000


@dataclass(slots=True)
class BrowserSession:
    """One browser. `mark` is what must stay the same of the user; `token` goes into every form."""

    name: str
    mark: str
    token: str
    began: float
    seen: float


class Sessions:
    """All sessions of this process. Times are seconds of a clock that does not jump."""

    def __init__(
        self, *, idle_seconds: float, longest_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._idle = idle_seconds
        self._longest = longest_seconds
        self._clock = clock
        self._sessions: dict[str, BrowserSession] = {}

    def begin(self, name: str, mark: str) -> tuple[str, BrowserSession]:
        """Begin a session; return what the cookie holds, and the session."""
        now = self._clock()
        self._sweep(now)
        cookie = secrets.token_urlsafe(32)
        session = BrowserSession(name, mark, secrets.token_urlsafe(32), now, now)
        self._sessions[_key(cookie)] = session
        return cookie, session

    def find(self, cookie: str, *, is_activity: bool) -> BrowserSession | None:
        """Return the session of a cookie; None where it is over, or there was none."""
        if not cookie:
            return None
        key, now = _key(cookie), self._clock()
        session = self._sessions.get(key)
        if session is None:
            return None
        if self._is_over(session, now):
            del self._sessions[key]
            return None
        if is_activity:
            session.seen = now
        return session

    def end(self, cookie: str) -> None:
        """End a session."""
        self._sessions.pop(_key(cookie), None)

    def _is_over(self, session: BrowserSession, now: float) -> bool:
        return now - session.seen > self._idle or now - session.began > self._longest

    def _sweep(self, now: float) -> None:
        over = [key for key, session in self._sessions.items() if self._is_over(session, now)]
        # More than that are no people: the oldest have to go.
        room = len(self._sessions) - len(over) - _MOST + 1
        if room > 0:
            over += sorted(self._sessions.keys() - set(over), key=lambda key: self._sessions[key].seen)[:room]
        for key in over:
            del self._sessions[key]


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, told in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))


def _key(cookie: str) -> str:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).hexdigest()
