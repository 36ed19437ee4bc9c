"""What no browser of ours would send: odd methods, doubled headers, coded paths; and users that change meanwhile."""

import asyncio
import contextlib
import re
import socket
import threading
from typing import Any

import pytest
from commands import CommandLine
from consoles import HOST, PASSWORD, ConsoleUnderTest, opened

from roark_ops.console.access.door import COOKIE
from roark_ops.console.access.roles import Role
from roark_ops.console.app import create_app
from roark_ops.console.routes import ROUTES
from roark_ops.console.serve import ConsoleServer

PEOPLE = {"vera": Role.VIEWER, "omar": Role.OPERATOR, "ada": Role.ADMIN}
METHODS = ("OPTIONS", "TRACE", "PUT", "PATCH", "DELETE", "PROPFIND")
OVERRIDES = ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override")


def test_no_method_but_its_own_does_anything_and_the_answer_names_it(
    line: CommandLine, console: ConsoleUnderTest
) -> None:
    line.bury_all("call-1")
    paths = {route.path: "POST" if route.is_deed else "GET" for route in ROUTES} | {
        "/live": "GET",
        "/healthz": "GET",
        "/static/console.js": "GET",
        "/signout": "POST",
    }
    strange = []
    for path, own in paths.items():
        for method in METHODS:
            answer = console.client.request(method, path, data={"token": "x" * 43}, headers={"Origin": HOST})
            if answer.status_code != 405 or own not in answer.headers.get("allow", ""):
                strange.append((method, path, answer.status_code))
            if "Origin" in answer.text:
                strange.append((method, path, "told what was sent"))
        for header in OVERRIDES:
            asked = console.client.request("GET", path, headers={header: "POST"}) if own == "POST" else None
            if asked is not None and asked.status_code != 405:
                strange.append((header, path, asked.status_code))
    assert strange == []
    assert line.state("call-1") == "dead"
    assert line.snapshot().logbook_lines == 0


def test_head_tells_of_a_page_and_leaves_no_stream_behind(console: ConsoleUnderTest) -> None:
    for path in ("/", "/causes", "/healthz", "/live"):
        answer = console.client.head(path)
        assert answer.status_code == 200, path
        assert answer.content == b""
    assert console.stage.live.tabs == 0


CODED = (
    "/%63auses",
    "/causes%2f",
    "/%2e%2e/causes",
    "/%252e%252e/causes",
    "/static%2fconsole.js",
    "/static/%2563onsole.js",
    "/go%2freplay",
    "/causes;jsessionid=1",
    "/causes%3fpart=1",
    "/causes%23x",
    "//causes",
)


def test_a_path_is_ours_as_it_is_written_or_not_at_all(line: CommandLine) -> None:
    with opened(line, console_path="/ops") as console:
        assert console.client.get("/ops/causes").status_code == 200
        for path in (*CODED, *(f"/ops{each}" for each in CODED), "/ops%2fcauses", "/%6fps/causes", "/opsx/causes"):
            answer = console.client.get(f"{HOST}{path}", follow_redirects=False)
            assert answer.status_code == 404, (path, answer.status_code)
        assert console.client.get("/ops/ops/causes").status_code == 404


def test_where_a_form_came_from_is_known_however_host_and_origin_are_written(line: CommandLine) -> None:
    with opened(line, add=PEOPLE, console_url="https://console.example") as console:
        omar = console.stage.door.sign_in("omar", PASSWORD)
        assert omar

        def sent_with(**headers: str) -> int:
            sent = {"Cookie": f"{COOKIE}={omar.cookie}"}
            sent |= {name.replace("_", "-"): value for name, value in headers.items()}
            answer = console.client.post(
                "/freeze/discard", data={"token": omar.token, "call": "x"}, headers=sent, follow_redirects=False
            )
            return answer.status_code

        for taken in (
            {"Host": "console.example", "Origin": "https://console.example"},
            {"Host": "console.example:443", "Origin": "https://console.example"},
            {"Host": "Console.Example", "Origin": "https://console.example"},
            {"Host": "10.0.0.7:5656", "Origin": "https://console.example"},
            {"Host": "127.0.0.1:80", "Origin": "http://127.0.0.1"},
            {"Host": "[::1]:5656", "Origin": "http://[::1]:5656"},
            {"Host": "console.example:5656", "Origin": "http://console.example:5656"},
            {"Sec_Fetch_Site": "same-origin"},
            {"Host": "console.example", "Origin": "https://console.example", "Sec_Fetch_Site": "same-origin"},
        ):
            assert sent_with(**taken) == 303, taken
        for refused in (
            {"Host": "console.example", "Origin": "http://console.example"},
            {"Host": "console.example", "Origin": "https://console.example:8443"},
            {"Host": "console.example:8443", "Origin": "https://console.example:9443"},
            {"Host": "console.example", "Origin": "https://console.example.evil.example"},
            {"Host": "console.example", "Origin": "https://eve@console.example"},
            {"Host": "console.example", "Origin": "https://console.example/path"},
            {"Host": "console.example", "Origin": "https://console.example", "Sec_Fetch_Site": "cross-site"},
            {"Host": "console.example", "Origin": "https://console.example", "Sec_Fetch_Site": "same-site"},
            {"Origin": "null", "Sec_Fetch_Site": "same-origin"},
            {"Origin": "", "Sec_Fetch_Site": "none"},
            {"Sec_Fetch_Site": "none"},
            {"Referer": "https://console.example/causes"},
            {"Origin": "file://"},
            {"Origin": "https://"},
            {"Host": "", "Origin": "http://"},
        ):
            assert sent_with(**refused) == 403, refused


def test_two_origins_are_none(console: ConsoleUnderTest, line: CommandLine) -> None:
    sent = [("Origin", HOST), ("Origin", "https://evil.example")]
    for headers in (sent, sent[::-1]):
        answer = console.client.post("/uploads/hold", data={"token": console.token(), "reason": "x"}, headers=headers)
        assert answer.status_code == 403
    assert line.snapshot().lane.state == "open"


def cookie_of(console: ConsoleUnderTest, name: str) -> str:
    console.client.cookies.clear()
    console.sign_in(name)
    found = str(console.client.cookies[COOKIE])
    console.client.cookies.clear()
    return found


def test_a_cookie_that_somebody_laid_beside_ours_signs_nobody_in_as_another(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        omar, ada = cookie_of(console, "omar"), cookie_of(console, "ada")

        def who(*headers: str) -> str:
            page = console.client.get("/", headers=[("Cookie", each) for each in headers]).text
            found = re.search(r"<span>(\w+)<small>", page)
            return found[1] if found else "nobody"

        # what is no session of ours does not count, wherever it stands; of two sessions none does
        assert who(f"{COOKIE}={omar}") == "omar"
        assert who(f"{COOKIE}={omar}; {COOKIE}=laid-there") == "omar"
        assert who(f"{COOKIE}=laid-there; {COOKIE}={omar}") == "omar"
        assert who(f"{COOKIE}={omar}; {COOKIE}={omar}") == "omar"
        assert who(f"{COOKIE}={omar}; {COOKIE}={ada}") == "nobody"
        assert who(f"{COOKIE}={ada}", f"{COOKIE}={omar}") == "nobody"
        assert who(f"{COOKIE}={'; '.join([omar, f'{COOKIE}=x'] * 200)}") in {"omar", "nobody"}


def test_signing_in_ends_the_session_that_the_browser_had(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        console.sign_in("omar")
        old = console.client.cookies[COOKIE]
        console.sign_in("vera")
        console.client.cookies.clear()
        assert "Sign in" in console.client.get("/", headers={"Cookie": f"{COOKIE}={old}"}).text


GONE: dict[str, Any] = {
    "removed": lambda users: [users.remove(name) for name in PEOPLE],
    "the file is deleted": lambda users: users.path.unlink(),
    "the file is emptied": lambda users: users.path.write_text(""),
    "no passwords are left": lambda users: users.path.write_text("ada:admin:\n"),
}


@pytest.mark.parametrize("how", GONE)
def test_a_console_whose_users_are_gone_lets_nobody_in(line: CommandLine, how: str) -> None:
    with opened(line, add=PEOPLE) as console:
        console.sign_in("ada")
        GONE[how](console.stage.door._users)
        for headers in ({}, {"Host": "localhost"}, {"Host": "127.0.0.1:5656"}):
            answer = console.client.get("/causes", headers=headers)
            assert answer.status_code == 403, headers
            assert "console user add" in answer.text
        console.stage.door._users.put("ada", Role.VIEWER, PASSWORD)
        assert "ada<small>viewer" in console.sign_in("ada").text


def test_a_console_without_users_answers_no_other_machine_whatever_host_it_names(line: CommandLine) -> None:
    for address in ("192.168.0.9", "203.0.113.9", "::ffff:10.0.0.1", "testclient"):
        with opened(line, client=(address, 1)) as console:
            assert console.client.get("/", headers={"Host": "127.0.0.1:5656"}).status_code == 403, address
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        with opened(line, client=(address, 1)) as console:
            assert console.client.get("/").status_code == 200, address


def test_a_role_that_is_taken_away_ends_what_an_open_page_can_do(line: CommandLine) -> None:
    line.bury_all("call-1")
    with opened(line, add=PEOPLE) as console:
        console.sign_in("omar")
        selection, token = console.freeze("discard", call="call-1"), console.token()
        console.stage.door._users.put("omar", Role.VIEWER, None)
        form = {"token": token, "id": selection, "reason": "x"}
        answer = console.client.post("/go/discard", data=form, headers={"Origin": HOST})
        assert "This takes the role operator" in answer.text
        assert line.state("call-1") == "dead"


def test_hosts_and_queries_that_are_none_are_no_failure_of_ours(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        for host in ("[::1", "a b", "evil.example/x?y#z", "", "a:b:c", "\u00e9"):
            for path in ("/", "/causes?x=%ff%fe", "/reports?state=%00&cursor=%f0%28"):
                answer = console.client.get(path, headers={"Host": host.encode("latin-1")}, follow_redirects=False)
                assert answer.status_code in {303, 400, 403}, (host, path, answer.status_code)
                assert "evil" not in answer.headers.get("location", "")


def test_a_long_password_counts_to_its_end(line: CommandLine) -> None:
    long = "a very long one " * 40
    with opened(line, add=PEOPLE) as console:
        console.stage.door._users.put("ada", Role.ADMIN, long)
        assert "Name and password do not match" in console.sign_in("ada", f"{long[:-1]}x").text
        assert "ada<small>admin" in console.sign_in("ada", long).text


def test_behind_a_proxy_who_guesses_slows_down_themselves_and_nobody_else(line: CommandLine) -> None:
    with opened(line, add=PEOPLE, client=("10.1.2.3", 1), console_proxies="10.0.0.0/8") as console:

        def tried(address: str, name: str, password: str) -> int:
            sent = {"Origin": HOST, "X-Forwarded-For": f"198.51.100.1, {address}"}
            form = {"name": name, "password": password}
            return console.client.post("/signin", data=form, headers=sent, follow_redirects=False).status_code

        assert [tried("203.0.113.9", f"name-{number}", "wrong password") for number in range(6)] == [403] * 5 + [429]
        assert tried("203.0.113.10", "ada", PASSWORD) == 303


def test_a_stranger_can_have_no_endless_headers_read(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console, socket.create_server(("127.0.0.1", 0)) as listener:
        listens = threading.Event()
        server = ConsoleServer(create_app(console.stage), listens.set)
        thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])))
        thread.start()
        try:
            assert listens.wait(10)
            few = "".join(f"X-{number}: {'a' * 1000}\r\n" for number in range(20))
            assert answered(listener, few).startswith(b"HTTP/1.1 303")
            assert not answered(listener, few * 10).startswith(b"HTTP/1.1 303")
            assert answered(listener, "Host: localhost\r\n").startswith(b"HTTP/1.1 400")
        finally:
            server.should_exit = True
            thread.join(10)


def answered(listener: socket.socket, headers: str) -> bytes:
    """What is answered to a request with these headers; nothing where the connection was cut off."""
    with socket.create_connection(listener.getsockname(), timeout=10) as sender, contextlib.suppress(OSError):
        sender.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n".encode())
        return sender.recv(100)
    return b""
