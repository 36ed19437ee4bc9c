"""The configurations of ops/docs/proxies.md, in the real proxies, in front of a real webhook: what comes through."""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from certificates import Authority
from commands import CommandLine
from pipeline import free_port, wait_until
from servers import Server

from roark_ops.doctor.check import Level
from roark_ops.doctor.outside import Heard, ask, judge_exposed, judge_large

PAGE = Path(__file__).parents[3] / "ops" / "docs" / "proxies.md"
SECRET = "a-secret-of-the-proxies-test"


@dataclass
class Front:
    """A proxy with TLS, and the webhook behind it."""

    url: str
    ca: Path
    line: CommandLine

    def post(self, body: bytes, path: str = "/vapi", secret: str = SECRET) -> httpx.Response:
        with httpx.Client(verify=ssl.create_default_context(cafile=str(self.ca)), trust_env=False) as client:
            return client.post(f"{self.url}{path}", content=body, headers={"x-vapi-secret": secret}, timeout=30)

    def get(self, path: str) -> int:
        with httpx.Client(verify=ssl.create_default_context(cafile=str(self.ca)), trust_env=False) as client:
            return client.get(f"{self.url}{path}").status_code

    def doctor(self) -> dict[str, dict[str, str]]:
        more = {"SSL_CERT_FILE": str(self.ca), "ROARK_INGEST_VAPI_SECRET": SECRET, "NO_PROXY": "*"}
        told = self.line.run("doctor", "--json", "--public-url", self.url, **more).document
        return {check["name"]: check for check in told["checks"]}


def of_page(kind: str) -> str:
    found = re.search(rf"^```{kind}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


def nginx(text: str, folder: Path, port: int) -> list[str]:
    text = re.sub(r"listen (\[::\]:)?443 ssl;", lambda m: "" if m[1] else f"listen 127.0.0.1:{port} ssl;", text)
    scratch = "".join(
        f"{name}_temp_path {folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # As root its workers would be another user, who cannot write into a test's folder.
    owner = "user root;\n" if os.geteuid() == 0 else ""
    text = f"{owner}pid {folder}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{scratch}{text}}}\n"
    text = text.replace("/etc/ssl/reports.pem", f"{folder}/server.pem").replace(
        "/etc/ssl/reports.key", f"{folder}/server.key"
    )
    (folder / "proxy.conf").write_text(text)
    return ["-p", str(folder), "-c", str(folder / "proxy.conf"), "-e", "stderr", "-g", "daemon off;"]


def caddy(text: str, folder: Path, port: int) -> list[str]:
    site = f"https://localhost:{port} {{\n\ttls {folder}/server.pem {folder}/server.key"
    text = "{\n\tadmin off\n\tauto_https off\n}\n" + text.replace("reports.example.com {", site)
    (folder / "proxy.conf").write_text(text)
    return ["run", "--adapter", "caddyfile", "--config", str(folder / "proxy.conf")]


def haproxy(text: str, folder: Path, port: int) -> list[str]:
    (folder / "both.pem").write_text((folder / "server.pem").read_text() + (folder / "server.key").read_text())
    text = text.replace("bind :443", f"bind 127.0.0.1:{port}").replace(
        "/etc/ssl/reports-and-key.pem", f"{folder}/both.pem"
    )
    (folder / "proxy.conf").write_text(text)
    return ["-db", "-f", str(folder / "proxy.conf")]


KINDS: dict[str, Callable[[str, Path, int], list[str]]] = {"nginx": nginx, "caddy": caddy, "haproxy": haproxy}


@contextlib.contextmanager
def in_front(kind: str, text: str, valkey: Server, prefix: str, folder: Path) -> Iterator[Front]:
    program = shutil.which(kind) or shutil.which(f"/usr/sbin/{kind}")
    if not program:
        pytest.skip(f"{kind} is not installed (Debian: apt install {kind})")
    ca = Authority(folder).ca
    line = CommandLine(valkey.url, prefix, folder)
    behind, port = free_port(), free_port()
    text = text.replace("127.0.0.1:8787", f"127.0.0.1:{behind}").replace("reports.example.com;", "localhost;")
    command = [program, *KINDS[kind](text, folder, port)]
    webhook = line.process("webhook", "--port", str(behind), env={"ROARK_INGEST_VAPI_SECRET": SECRET})
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin"}
    with (folder / "proxy.log").open("wb") as log:
        proxy = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    front = Front(f"https://localhost:{port}", ca, line)
    try:
        wait_until(
            lambda: is_there(front), f"{kind} and the webhook are there: {(folder / 'proxy.log').read_text()}", 20
        )
        yield front
    finally:
        for process in (proxy, webhook):
            process.terminate()
            process.communicate()


def is_there(front: Front) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return front.post(b"{}", secret="wrong").status_code == 401
    return False


def large(size: int) -> bytes:
    head = b'{"message":{"type":"end-of-call-report","call":{"id":"call-large"},"transcript":"'
    return head + b"x" * size + b'"}}'


@pytest.mark.parametrize("kind", KINDS)
def test_through_each_proxy_of_the_page_a_large_report_comes_and_nothing_else_is_exposed(
    kind: str, valkey: Server, prefix: str, tmp_path: Path
) -> None:
    with in_front(kind, of_page(kind), valkey, prefix, tmp_path) as front:
        answer = front.post(large(24_000_000))
        assert answer.json() == {"result": "accepted", "call_id": "call-large"}
        refused = front.post(large(10), secret="wrong")
        assert (refused.status_code, refused.json()["error"]) == (401, "unauthorized")
        for path in ("/metrics", "/readyz", "/healthz", "/", "/vapi/../metrics", "//metrics"):
            assert front.get(path) == 404, path
        checks = front.doctor()
        assert (checks["public url"]["level"], checks["exposed"]["level"]) == ("OK", "OK"), checks
        assert front.line.run("status", "--json").document["states"]["ready"] == 1


def test_the_doctor_finds_nginxs_default_and_a_proxy_that_exposes_everything(
    valkey: Server, prefix: str, tmp_path: Path
) -> None:
    careless = of_page("nginx").replace("client_max_body_size 30m;", "")
    with in_front("nginx", careless, valkey, prefix, tmp_path) as front:
        check = front.doctor()["public url"]
        assert check["level"] == "FAIL"
        assert "413" in check["found"]
        assert "client_max_body_size" in check["mend"]
    open_wide = (
        of_page("nginx")
        .replace("location = /vapi", "location /")
        .replace("location / {\n        return 404", "location /nowhere {\n return 404")
    )
    with in_front("nginx", open_wide, valkey, prefix, tmp_path) as front:
        checks = front.doctor()
        assert checks["public url"]["level"] == "OK"
        assert checks["exposed"]["level"] == "WARN"
        assert "/readyz" in checks["exposed"]["found"]


def test_without_a_proxy_and_with_a_signature_the_doctor_gets_through(
    valkey: Server, prefix: str, tmp_path: Path
) -> None:
    line = CommandLine(valkey.url, prefix, tmp_path)
    port = free_port()
    settings = {
        "ROARK_INGEST_VAPI_SECRET": SECRET,
        "ROARK_INGEST_WEBHOOK_HMAC": "sha256",
        "ROARK_INGEST_WEBHOOK_PAYLOAD_FORMAT": "{timestamp}.{method}.{url}.{body}",
        "NO_PROXY": "*",
    }
    webhook = line.process("webhook", "--port", str(port), env=settings)
    url = f"http://127.0.0.1:{port}/vapi"
    try:
        wait_until(lambda: ask("GET", f"http://127.0.0.1:{port}/healthz").status == 200, "the webhook is there")
        told = line.run("doctor", "--json", "--public-url", url, **settings).document
        checks = {check["name"]: check for check in told["checks"]}
        assert checks["public url"]["level"] == "OK", checks
        wrong = line.run("doctor", "--json", "--public-url", url, **settings | {"ROARK_INGEST_VAPI_SECRET": "x" * 20})
        assert "rejects our secret" in json.dumps(wrong.document)
        assert line.snapshot().total("accepted") == 0
    finally:
        webhook.terminate()
        webhook.communicate()


@pytest.mark.parametrize(
    ("heard", "level", "words"),
    [
        (Heard(200, b"{}"), Level.OK, "accepts a message of 5 MB"),
        (Heard(200, b"<html>"), Level.FAIL, "something other than the webhook"),
        (Heard(0, why="Name or service not known"), Level.FAIL, "Name or service not known"),
        (Heard(413, b"<html>"), Level.FAIL, "a proxy rejects it"),
        (Heard(413, b'{"error":"too-large"}'), Level.FAIL, "webhook does not accept reports of that size"),
        (Heard(401, b'{"error":"unauthorized"}'), Level.FAIL, "rejects our secret"),
        (Heard(401, b"login"), Level.FAIL, "a proxy rejects it"),
        (Heard(301), Level.FAIL, "redirects"),
        (Heard(404), Level.FAIL, "a proxy rejects it (404"),
        (Heard(502), Level.FAIL, "the proxy can't reach the webhook"),
        (Heard(503, b'{"error":"unavailable"}'), Level.FAIL, "can't store reports right now"),
        (Heard(100), Level.FAIL, "100"),
    ],
)
def test_each_answer_from_outside_has_its_meaning(heard: Heard, level: Level, words: str) -> None:
    check = judge_large(heard, 5_000_000)
    assert check.level is level
    assert words in check.found
    assert bool(check.mend) == (level is not Level.OK)
    assert judge_exposed([]).level is Level.OK
