"""Whoever answers, and in whatever shape: what becomes of the reports, and what operators are told.

Two workers and the sandbox, over the whole table of answers (`answers.py`): each answer to one report beside healthy
ones, and each that may be true for all of us to every report.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from answers import CASES, Case
from certificates import Authority
from commands import CommandLine
from pipeline import Pipeline, free_port, wait_until

from roark_ledger.lifecycle import State
from roark_producer.settings import IngestSettings
from roark_worker.answers.reasons import reason_of

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(300)]

PATIENT = {
    "ROARK_INGEST_FIRST_DELAY_SECONDS": "2",
    "ROARK_INGEST_MAX_DELAY_SECONDS": "60",
    "ROARK_INGEST_MAX_ATTEMPTS": "1000",
}
HEALTHY_FOR_EACH = 15
BUSY = "http_409"
"""It is tried three times, so here it comes to its end."""
ALL_OF_US = [case for case in CASES if case.state == "held"]


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline(**PATIENT) as line:
        yield line


@pytest.fixture
def shell(line: Pipeline, tmp_path: Path) -> CommandLine:
    return CommandLine(line.valkey.url, IngestSettings(_env_file=None).prefix, tmp_path)


def body(call_id: str) -> bytes:
    return json.dumps({"type": "end-of-call-report", "call": {"id": call_id, "cost": None}}).encode()


def fault(case: Case, chosen: str) -> str:
    said = case.body.decode() if isinstance(case.body, bytes) else json.dumps(case.body)
    retry = "".join(f":should-retry={value}" for value in case.headers.values())
    return f"say-{case.status}:{chosen}{retry}:body={said}"


def test_each_answer_to_one_report_beside_healthy_ones(line: Pipeline, shell: CommandLine) -> None:
    met = {f"odd-{number}": case for number, case in enumerate(CASES)}
    roark = line.start_sandbox("--latency-ms", "20")
    roark.behave(fail=[fault(case, f"calls={call_id}") for call_id, case in met.items()])
    line.start_supervisor(2)
    for call_id in met:
        line.submit([*(body(f"{call_id}-well-{number}") for number in range(HEALTHY_FOR_EACH)), body(call_id)])

    fatal = [call_id for call_id, case in met.items() if case.state in {"dead", "held"} or case.reason == BUSY]
    wait_until(lambda: line.count(State.DEAD) == len(fatal), f"{len(fatal)} are dead, and others none", 90)
    answered = len(CASES) * HEALTHY_FOR_EACH + len([1 for case in CASES if "confirmed" in case.state])
    wait_until(lambda: line.count(State.DELIVERED) == answered, "the healthy ones are delivered")

    for call_id, case in met.items():
        story = shell.run("why", call_id, "--json").document
        told = next((step for step in reversed(story["history"]) if step.get("status")), {})
        assert case.message in told.get("message", ""), case
        if "confirmed" in case.state:
            assert (story["state"], story["confirmed"]) == ("delivered", case.state == "confirmed"), case
        elif case.reason == BUSY:
            assert (story["state"], story["explanation"]["side"]) == ("dead", "Roark"), case
        elif case.state == "waiting":
            assert story["state"] in {"waiting", "ready", "uploading"}, case
            assert told["reason"] == case.reason, case
        else:
            explained = story["explanation"]
            assert (story["state"], story["reason"]) == ("dead", case.reason), case
            assert explained["side"] == "this report", case
            assert explained["command"].split()[1:3] in (["dlq", "show"], ["dlq", "edit"]), case
            # Beside a hold, in which it may have been a probe, it is three sends.
            assert roark.calls()[call_id]["received"] <= 5, case
            if case.state == "held":
                assert "same token" in explained["what"], case
    assert shell.run("audit").exit_code == 0


@pytest.mark.sweep
def test_each_answer_that_may_be_true_for_all_of_us_to_every_report(line: Pipeline, shell: CommandLine) -> None:
    roark = line.start_sandbox()
    line.start_supervisor(2)
    for number, case in enumerate(ALL_OF_US):
        roark.behave(fail=[fault(case, "1")])
        ids = [f"{number}-{which}" for which in range(6)]
        line.submit(map(body, ids))
        wait_until(lambda said=f"{case.reason} ": f"{line.snapshot().lane.reason} ".startswith(said), case.name)  # type: ignore[misc]

        status = shell.run("status", "--json")
        assert status.exit_code != 0, case
        assert status.document["lane"]["state"] == "held", case
        assert status.document["states"]["dead"] == 0, case
        told = shell.run("why", ids[0]).stdout
        assert case.reason in told, case
        assert str(case.side) in told, case
        assert f"roark-ingest {case.command}" in shell.run("status").stdout, case

        roark.behave(fail=[])
        wait_until(lambda: line.count(State.DELIVERED) == 6 * (number + 1), f"delivered after {case.name}")  # noqa: B023
    assert line.count(State.DEAD) == 0
    assert shell.run("audit").exit_code == 0


def demand_a_hold(line: Pipeline, shell: CommandLine, reason: str) -> None:
    """Nothing dies of it, and every command says whose side it is on and what to do."""
    line.submit(body(f"call-{number}") for number in range(30))
    wait_until(lambda: line.snapshot().lane.reason.startswith(reason), f"it is held for {reason}")
    assert line.count(State.DEAD) == 0
    for command in (("status",), ("why", "call-0"), ("alerts", "list")):
        wait_until(lambda words=command: reason in shell.run(*words).stdout, f"{command} tells of it")  # type: ignore[misc]
    told = " ".join(shell.run("status").stdout.split())
    assert reason_of(reason).todo in told
    assert "roark-ingest doctor" in told


def test_nginx_that_speaks_https_where_we_speak_http(line: Pipeline, shell: CommandLine, tmp_path: Path) -> None:
    with nginx_with_tls(tmp_path) as port:
        line.start_supervisor(2, ROARK_BASE_URL=f"http://127.0.0.1:{port}")
        demand_a_hold(line, shell, "http_400_not_roark")
    message = shell.run("why", "call-0", "--json").document["history"][0]["message"]
    assert "plain HTTP request was sent to HTTPS port" in message


def listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


@contextlib.contextmanager
def nginx_with_tls(folder: Path) -> Iterator[int]:
    program = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if not program:
        pytest.skip("nginx is not installed (Debian: apt install nginx)")
    Authority(folder)
    port = free_port()
    scratch = "".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    owner = "user root;" if os.geteuid() == 0 else ""
    server = (
        f"listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;"
    )
    (folder / "nginx.conf").write_text(
        f"{owner} pid {folder}/pid; events {{}} http {{ access_log off; {scratch} server {{ {server} }} }}"
    )
    arguments = ["-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr", "-g", "daemon off;"]
    with (folder / "nginx.log").open("wb") as log:
        nginx = subprocess.Popen([program, *arguments], stdout=log, stderr=log)
    try:
        wait_until(lambda: listens(port), "nginx listens")
        yield port
    finally:
        nginx.terminate()
        nginx.wait()


def test_a_forward_proxy_that_wants_us_to_log_in(line: Pipeline, shell: CommandLine) -> None:
    with proxy_that_wants_a_password() as url:
        line.start_supervisor(2, ROARK_BASE_URL="http://localhost:9", HTTP_PROXY=url)
        demand_a_hold(line, shell, "http_407")


def test_a_forward_proxy_that_wants_us_to_log_in_before_it_makes_a_tunnel(line: Pipeline, shell: CommandLine) -> None:
    with proxy_that_wants_a_password() as url:
        line.start_supervisor(2, ROARK_BASE_URL="https://roark.example", HTTPS_PROXY=url)
        line.submit(body(f"call-{number}") for number in range(30))
        wait_until(lambda: line.snapshot().lane.state in {"breaker-open", "half-open"}, "the breaker is open")
        told = " ".join(shell.run("status").stdout.split())

    assert line.count(State.DEAD) == 0
    assert "connect_proxy" in told
    assert "our settings" in told
    assert reason_of("connect_proxy").todo in told
    assert "roark-ingest doctor" in told


@contextlib.contextmanager
def proxy_that_wants_a_password() -> Iterator[str]:
    answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\nconnection: close\r\n"
    answer += b"content-length: 14\r\n\r\nPlease log in."
    with socket.create_server(("127.0.0.1", 0)) as door:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = door.accept()
                    with client, contextlib.suppress(OSError):
                        client.settimeout(1)
                        refuse(client)

        def refuse(client: socket.socket) -> None:
            received = client.recv(65_536)
            length = int(received.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
            while len(received.partition(b"\r\n\r\n")[2]) < length and (more := client.recv(65_536)):
                received += more
            client.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{door.getsockname()[1]}"
        door.shutdown(socket.SHUT_RDWR)
        thread.join(10)
