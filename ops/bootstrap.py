"""Makes `.venv` with everything that this project needs, on a machine that has nothing but Python.

    python3 ops/bootstrap.py .venv

1. A virtual environment that works is kept, one that does not is made anew.
2. pip comes with `venv`; where it does not (Debian without python3-venv) its wheel is fetched from the index that
   pip itself would ask, and must have the digest below.
3. What the project needs is installed, and nothing else: the versions of constraints.txt and ops/locked, and only
   files whose digest stands there. Then the project itself, for development.

Only the standard library is used, and pip's own settings count (PIP_INDEX_URL, pip.conf, proxies, certificates).
"""

import base64
import configparser
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import venv
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = (3, 11)
PIP_WHEEL = "pip-26.3-py3-none-any.whl"
PIP_SHA256 = "f3b60b20ffaadd4415ed7957212a38ac63fa4c5fa375bd0f4a797777940fad13"
LOCKED = ("constraints.txt", "ops/locked/build.txt", "ops/locked/dev.txt")
DEFAULT_INDEX = "https://pypi.org/simple"


def main(environment: Path) -> None:
    """Make the environment, or mend it."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}. Try: make PYTHON=…")
    python = environment / "bin" / "python"
    if not has_pip(python):
        make(environment, python)
    say(f"1 of 2: what it needs, into {environment.name}: some 100 packages, a minute or two the first time")
    pip(python, "--require-hashes", *(part for file in LOCKED for part in ("-r", str(ROOT / file))), shows=True)
    say("2 of 2: roark-ingest itself")
    pip(python, "--no-build-isolation", "--editable", str(ROOT))
    say("done; the commands are in .venv/bin (`. .venv/bin/activate` puts them on your PATH)")


def has_pip(python: Path) -> bool:
    """Whether there is an environment, and it works."""
    if not python.exists():
        return False
    asked = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)  # noqa: S603 our own
    return asked.returncode == 0


def make(environment: Path, python: Path) -> None:
    """Make the environment, pip in it."""
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:  # noqa: S603 our own
        say("venv cannot bring pip along (Debian: package python3-venv); it is fetched instead")
        venv.create(environment, clear=True, symlinks=True, with_pip=False)
        install_pip(python)


def install_pip(python: Path) -> None:
    """Fetch pip's wheel and let it install itself: a wheel of pip can be run as it is."""
    with tempfile.TemporaryDirectory() as folder:
        wheel = Path(folder) / PIP_WHEEL
        wheel.write_bytes(fetch_pip())
        subprocess.run([python, wheel / "pip", "install", "--quiet", "--no-index", wheel], check=True)  # noqa: S603 our own


def fetch_pip() -> bytes:
    """Return pip's wheel."""
    page = f"{pip_setting('index-url', DEFAULT_INDEX).rstrip('/')}/pip/"
    try:
        links = re.findall(r'href="([^"]+)"', fetch(page).decode())
        link = next((each for each in links if urllib.parse.urlsplit(each).path.endswith("/" + PIP_WHEEL)), None)  # noqa: TID251 nothing of ours is installed yet
        if link is None:
            sys.exit(f"{page} does not offer {PIP_WHEEL}. Install python3-venv, or set PIP_INDEX_URL to another index")
        wheel = fetch(urllib.parse.urljoin(page, link))
    except urllib.error.URLError as error:
        sys.exit(f"{page} cannot be reached: {error.reason}. Install python3-venv, or set PIP_INDEX_URL")
    if hashlib.sha256(wheel).hexdigest() != PIP_SHA256:
        sys.exit(f"{PIP_WHEEL} from {page} is not the one that was expected: its SHA-256 differs")
    return wheel


def fetch(url: str) -> bytes:
    """Return what is at a URL."""
    parts = urllib.parse.urlsplit(url)  # noqa: TID251 nothing of ours is installed yet
    credentials, _, address = parts.netloc.rpartition("@")
    request = urllib.request.Request(parts._replace(netloc=address).geturl())  # noqa: S310 the index that pip would ask
    if credentials:
        basic = base64.b64encode(urllib.parse.unquote(credentials).encode()).decode()
        request.add_header("authorization", f"Basic {basic}")
    context = ssl.create_default_context(cafile=pip_setting("cert", "") or None)
    with urllib.request.urlopen(request, context=context, timeout=60) as answer:  # noqa: S310 as above
        found: bytes = answer.read()
    return found


def pip_setting(name: str, default: str) -> str:
    """Return one of pip's settings as pip finds it: the environment first, then its files, the nearest last."""
    if value := os.environ.get(f"PIP_{name.replace('-', '_').upper()}"):
        return value
    files = configparser.RawConfigParser()
    home = Path.home()
    own = os.environ.get("PIP_CONFIG_FILE", "")
    files.read(["/etc/pip.conf", home / ".pip" / "pip.conf", home / ".config" / "pip" / "pip.conf", own])
    return files.get("global", name, fallback=default).strip("'\"")


def pip(python: Path, *arguments: str, shows: bool = False) -> None:
    """Install with pip just what is named; `shows` tells each package as it is fetched."""
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
    command += ["--no-deps", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:  # noqa: S603 our own
        told = [line.rstrip() for line in follow(running.stdout or [], shows=shows)]
    if running.returncode != 0:
        sys.exit("\n".join([*told[-20:], "pip could not install what is needed; its own message is above"]))


def follow(lines: Iterable[str], *, shows: bool) -> Iterator[str]:
    """Yield pip's lines, and say how far it is: in a terminal on one line, elsewhere every twenty packages."""
    collected, in_place = 0, sys.stdout.isatty()
    for line in lines:
        yield line
        if not shows:
            continue
        if found := re.match(r"(?:Collecting|Obtaining) ([\w.-]+)", line):
            collected += 1
            if in_place:
                show_in_place(f"set-up: {collected} packages looked up, {found[1]}")
            elif collected % 20 == 0:
                say(f"{collected} packages looked up")
        elif line.startswith("Installing collected packages"):
            if in_place:
                show_in_place("")
            say("all are here; they are unpacked")


def show_in_place(text: str) -> None:
    """Write over the terminal's current line."""
    sys.stdout.write(f"\r\033[K{text[: shutil.get_terminal_size().columns - 1]}")
    sys.stdout.flush()


def say(what: str) -> None:
    """Tell what is done."""
    sys.stdout.write(f"set-up: {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv").absolute())
