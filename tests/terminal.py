"""A shell in tmux: commands are typed as a person types them, and the screen is what a person would see."""

import contextlib
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

_DONE = re.compile(r"^\[exit (\d+)\]$", re.MULTILINE)


class Terminal:
    """One bash in one tmux window. What came over the screen is kept in `transcript`."""

    def __init__(self, folder: Path, environment: dict[str, str], *, columns: int = 110, lines: int = 50) -> None:
        tmux = shutil.which("tmux")
        assert tmux, "this test types into tmux: apt-get install tmux"
        self._tmux = [tmux, "-L", f"test-{time.monotonic_ns()}", "-f", "/dev/null"]
        self.transcript = folder / "shift.txt"
        rc = folder / "bashrc"
        rc.write_text("set -o pipefail; PS1='$ '; PROMPT_COMMAND='printf \"[exit %s]\\n\" $?'\n", encoding="utf-8")
        self._environment = {"TERM": "xterm-256color", "LANG": "C.UTF-8", **environment}
        size = ["-x", str(columns), "-y", str(lines)]
        shell = f"exec bash --noprofile --rcfile {rc} -i"
        self._do("new-session", "-d", *size, "-c", str(folder), shell)
        self._do("set-option", "-g", "history-limit", "20000")
        self._until_exits(1, 30)

    def enter(self, command: str, *, seconds: float = 60) -> tuple[int, str]:
        """Type a command, wait for its end; return its exit code and what it left on the screen."""
        before = len(_DONE.findall(self._screen()))
        self._do("send-keys", "-l", command)
        self._do("send-keys", "Enter")
        screen = self._until_exits(before + 1, seconds)
        ends = list(_DONE.finditer(screen))
        said = screen[ends[-2].end() : ends[-1].start()].strip()
        with self.transcript.open("a", encoding="utf-8") as transcript:
            transcript.write(f"{said}\n[exit {ends[-1][1]}]\n\n")
        return int(ends[-1][1]), said.partition("\n")[2]

    def press(self, *keys: str) -> None:
        """Press keys, as tmux names them, while something runs."""
        self._do("send-keys", *keys)

    def close(self) -> None:
        """End the shell and what runs in it."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self._do("kill-server")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _until_exits(self, number: int, seconds: float) -> str:
        pause, started = threading.Event(), time.monotonic()
        while True:
            screen = self._screen()
            if len(_DONE.findall(screen)) >= number:
                return screen
            assert time.monotonic() - started < seconds, f"the command has not ended; the screen:\n{screen[-4000:]}"
            pause.wait(0.1)

    def _screen(self) -> str:
        return self._do("capture-pane", "-p", "-J", "-S", "-20000")

    def _do(self, *arguments: str) -> str:
        command = [*self._tmux, *arguments]
        # The first command starts tmux's server, and with it the shell, in this environment.
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment).stdout
