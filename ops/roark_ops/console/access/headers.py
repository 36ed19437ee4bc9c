"""What every answer says to the browser: run nothing but our own files, show us in no frame.

Also the paths: below which one the console lives, so that it works behind a proxy that strips it and one that does not.
"""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors {frames}"
)


class SafeHeaders:
    """Adds the headers, and takes the path prefix off."""

    def __init__(self, app: ASGIApp, *, prefix: str, frames: str) -> None:
        self._app = app
        self._prefix = prefix
        self._frames = frames.strip()
        self._policy = _POLICY.format(frames=self._frames or "'none'")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = _as_written(scope)
        if self._prefix and (path == self._prefix or path.startswith(f"{self._prefix}/")):
            path = path[len(self._prefix) :] or "/"
        scope = {**scope, "path": path, "root_path": "", "raw_path": path.encode("utf-8", "surrogateescape")}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = self._policy
                headers["X-Content-Type-Options"] = "nosniff"
                # Not `no-referrer`: with it a browser does not say which site a form was sent from.
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
                if not self._frames:
                    headers["X-Frame-Options"] = "DENY"
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _as_written(scope: Scope) -> str:
    # Ours are plain letters. A coded one is none of them: what stands before us may have read it as another path.
    raw: bytes = scope.get("raw_path") or scope["path"].encode("utf-8", "surrogateescape")
    return raw.partition(b"?")[0].decode("latin-1")
