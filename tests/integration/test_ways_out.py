"""How the doctor asks Roark: by the worker's own way, with the same proxies and the same CAs."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import Authority

from roark_ops.doctor.check import Level
from roark_ops.doctor.here import check_reach
from roark_worker.settings import WorkerSettings


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def roark() -> Iterator[http.server.HTTPServer]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def worker(url: str, transport: str) -> WorkerSettings:
    return WorkerSettings(_env_file=None, roark_base_url=url, transport=transport)


@pytest.mark.parametrize(("excepted", "level"), [("127.0.0.0/8", Level.OK), ("10.0.0.0/8", Level.WARN)])
def test_networks_in_no_proxy_count_as_they_do_for_uploads(
    roark: http.server.HTTPServer, excepted: str, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, excepted)
    assert check_reach(worker(f"http://127.0.0.1:{roark.server_port}", "pyreqwest")).level is level


@pytest.mark.parametrize("transport", ["pyreqwest", "httpx"])
def test_a_ca_of_ssl_cert_file_is_trusted(
    roark: http.server.HTTPServer, transport: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.certificate, authority.key)
    roark.socket = context.wrap_socket(roark.socket, server_side=True)
    settings = worker(f"https://localhost:{roark.server_port}", transport)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca))
    found = check_reach(settings)
    assert found.level is Level.OK, found
