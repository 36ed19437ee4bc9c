"""fakeredis, taught what the ledger's scripts need of a server and it does not have."""

import hashlib
from typing import Any

from fakeredis import FakeServer, FakeStrictRedis


class _Scripts(dict[bytes, bytes]):
    """Keeps a script under the SHA-1 of its whole text, but without the `#!lua …` line, which fakeredis would run."""

    def __setitem__(self, sha: bytes, text: bytes) -> None:
        # Made a comment instead of cut out, so that line numbers in Lua's errors stay right.
        super().__setitem__(sha, b"--" + text if text.startswith(b"#!") else text)


class ScriptingFakeServer(FakeServer):
    """A fake server that takes scripts with a first line of flags, and knows redis.sha1hex in them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(version=(7,), **options)
        with FakeStrictRedis(server=self) as client:
            client.eval("return 0", 0)  # makes the Lua runtime
        lua: Any = self
        lua._lua_runtime.globals()[b"redis"][b"sha1hex"] = _sha1hex

    @property
    def script_cache(self) -> dict[bytes, bytes]:
        return self._scripts

    @script_cache.setter
    def script_cache(self, scripts: dict[bytes, bytes]) -> None:
        self._scripts = _Scripts(scripts)


def _sha1hex(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
