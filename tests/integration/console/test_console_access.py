"""Who may pass the console's door, and what another site, a stranger or a guesser can do: nothing."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from commands import PHONE, CommandLine
from consoles import HOST, PASSWORD, ConsoleUnderTest, opened, stage_of

from roark_ledger.errors import ConfigurationError
from roark_ops.console.access.door import COOKIE
from roark_ops.console.access.roles import Role
from roark_ops.console.access.sessions import Sessions
from roark_ops.console.access.slowing import Slowing
from roark_ops.console.routes import ROUTES

PEOPLE = {"vera": Role.VIEWER, "omar": Role.OPERATOR, "ada": Role.ADMIN}


def test_each_route_lets_in_who_has_its_role_and_nobody_else(line: CommandLine) -> None:
    line.bury_all("call-1")
    with opened(line, add=PEOPLE) as console:
        strange = []
        for name, role in PEOPLE.items():
            console.client.cookies.clear()
            console.sign_in(name)
            token = console.token() or console.stage.door.sign_in(name, PASSWORD).token  # type: ignore[union-attr]
            for route in ROUTES:
                if route.is_deed:
                    answer = console.client.post(
                        route.path, data={"token": token}, headers={"Origin": HOST}, follow_redirects=False
                    )
                else:
                    answer = console.client.get(route.path, follow_redirects=False)
                refused = answer.status_code == 403 and "This takes the role" in answer.text
                if refused is not (role < route.role):
                    strange.append((name, route.path, answer.status_code))
        assert strange == []
    assert {route.role for route in ROUTES} == set(Role)
    assert all(route.role >= Role.OPERATOR for route in ROUTES if route.is_deed)


def test_a_stranger_sees_nothing_and_changes_nothing(line: CommandLine) -> None:
    line.bury_all("call-1", message="endedAt is wrong")
    with opened(line, add=PEOPLE) as console:
        for route in ROUTES:
            if route.is_deed:
                answer = console.client.post(route.path, data={"call": "call-1"}, headers={"Origin": HOST})
                assert answer.status_code == 401, route.path
            else:
                answer = console.client.get(route.path, follow_redirects=False)
                assert answer.status_code == 303, route.path
                assert answer.headers["location"].startswith("/signin?next=")
            assert "endedAt" not in answer.text
        assert console.client.get("/live").status_code == 401
    assert line.state("call-1") == "dead"


def test_what_changes_something_takes_post_alone(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1")
    for route in ROUTES:
        answer = console.client.request("GET" if route.is_deed else "POST", route.path)
        assert answer.status_code == 405, route.path
    assert line.state("call-1") == "dead"


FORGED: dict[str, Callable[[str], dict[str, Any]]] = {
    "no origin": lambda token: {"data": {"token": token}},
    "another site": lambda token: {"data": {"token": token}, "headers": {"Origin": "https://evil.example"}},
    "a site that looks like us": lambda token: {
        "data": {"token": token},
        "headers": {"Origin": "http://127.0.0.1:5656.evil.example"},
    },
    "no address": lambda token: {"data": {"token": token}, "headers": {"Origin": "http://[::1"}},
    "null": lambda token: {"data": {"token": token}, "headers": {"Origin": "null"}},
    "cross-site fetch": lambda token: {"data": {"token": token}, "headers": {"Sec-Fetch-Site": "cross-site"}},
    "same site, other host": lambda token: {
        "data": {"token": token},
        "headers": {"Sec-Fetch-Site": "same-site"},
    },
    "no token": lambda _: {"data": {"reason": "x"}, "headers": {"Origin": HOST}},
    "wrong token": lambda _: {"data": {"token": "x" * 43}, "headers": {"Origin": HOST}},
    "token of another type": lambda _: {"data": {"token": ["", "é"]}, "headers": {"Origin": HOST}},
    "json": lambda token: {"json": {"token": token}, "headers": {"Origin": HOST}},
    "plain text": lambda token: {
        "content": f"token={token}",
        "headers": {"Origin": HOST, "Content-Type": "text/plain"},
    },
    "multipart": lambda token: {"files": {"token": ("token", token)}, "headers": {"Origin": HOST}},
}


def test_no_other_site_can_have_a_browser_do_anything(line: CommandLine, console: ConsoleUnderTest) -> None:
    line.bury_all("call-1")
    token = console.token()
    assert token
    for name, forge in FORGED.items():
        for path in ("/uploads/hold", "/freeze/discard", "/replay/cancel", "/call/reveal"):
            answer = console.client.post(path, **forge(token))
            assert answer.status_code in {403, 415}, (name, path, answer.text)
    assert line.snapshot().lane.state == "open"
    assert line.snapshot().logbook_lines == 0


def test_every_answer_forbids_frames_foreign_scripts_and_guessing_of_types(console: ConsoleUnderTest) -> None:
    for path in ("/", "/signin", "/static/console.js", "/no-such-page", "/healthz", "/call?id=%2B15550101234"):
        headers = console.client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["frame-ancestors"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == policy["form-action"] == "'self'"
        assert policy["base-uri"] == "'none'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert path.startswith("/static") or headers["cache-control"] == "no-store"


def test_a_site_that_may_show_the_console_is_named(line: CommandLine) -> None:
    with opened(line, console_frames="https://grafana.example") as console:
        headers = console.get("/").headers
        assert "frame-ancestors https://grafana.example" in headers["content-security-policy"]
        assert "x-frame-options" not in headers


def test_a_session_that_was_there_before_is_another_one_after_signing_in(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        # given a cookie that somebody else has laid there, and one of a session of another user
        console.client.cookies.set(COOKIE, "laid-there")
        first = console.sign_in("vera").history[0].headers["set-cookie"]
        second = console.sign_in("ada").history[0].headers["set-cookie"]

        cookies = [re.match(rf"{COOKIE}=([^;]+)", each)[1] for each in (first, second)]  # type: ignore[index]
        assert len({*cookies, "laid-there"}) == 3
        for each in (first, second):
            assert "HttpOnly" in each
            assert "SameSite=strict" in each
            assert "Path=/" in each


def test_a_cookie_goes_over_https_alone_where_the_console_is_reached_by_it(line: CommandLine) -> None:
    with opened(line, add=PEOPLE, console_url="https://console.example") as console:
        answer = console.client.post(
            "/signin",
            data={"name": "ada", "password": PASSWORD},
            headers={"Origin": "https://console.example"},
            follow_redirects=False,
        )
        assert "Secure" in answer.headers["set-cookie"]


def test_who_signs_out_is_out_also_with_the_old_cookie(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        console.sign_in("omar")
        cookie = console.client.cookies[COOKIE]
        console.post("/signout")
        console.client.cookies.set(COOKIE, cookie)
        assert "Sign in" in console.get("/").text


def test_another_password_and_a_removal_end_the_sessions(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        console.sign_in("omar")
        assert console.get("/").status_code == 200
        users = console.stage.door._users
        users.put("omar", Role.OPERATOR, "another long password")
        assert "Sign in" in console.get("/").text
        console.sign_in("vera")
        users.remove("vera")
        assert "Sign in" in console.get("/").text
        console.sign_in("ada")
        users.put("ada", Role.VIEWER, None)
        assert "This takes the role" in console.post("/uploads/hold", reason="x").text


def test_sessions_end_by_time_and_an_open_tab_keeps_none_alive() -> None:
    now = [0.0]
    sessions = Sessions(idle_seconds=60, longest_seconds=100, clock=lambda: now[0])
    cookie, session = sessions.begin("ada", "")
    now[0] = 50
    assert sessions.find(cookie, is_activity=True) is session
    now[0] = 95
    assert sessions.find(cookie, is_activity=False) is session
    now[0] = 101
    assert sessions.find(cookie, is_activity=True) is None
    cookie, _ = sessions.begin("ada", "")
    for now[0] in (141, 161):
        sessions.find(cookie, is_activity=False)
    now[0] = 162
    assert sessions.find(cookie, is_activity=True) is None


def test_guessing_passwords_gets_slower_and_slower_by_name_and_by_address() -> None:
    now = [0.0]
    slowing = Slowing(clock=lambda: now[0])
    waits = []
    for _ in range(12):
        waits.append(slowing.wait_seconds("name ada"))
        now[0] += waits[-1]
        slowing.fail("name ada", "address a")
    assert waits[:5] == [0.0] * 5
    assert waits[5:8] == [2.0, 4.0, 8.0]
    assert max(waits) <= 300
    assert slowing.wait_seconds("name bea", "address a") > 0
    assert slowing.wait_seconds("name bea", "address b") == 0


def test_who_guesses_is_told_to_wait_and_the_right_password_does_not_help_then(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        answers = [console.sign_in("ada", f"wrong password {number}").status_code for number in range(7)]
        assert answers == [403] * 5 + [429] * 2
        last = console.sign_in("ada")
        assert last.status_code == 429
        assert int(last.headers["retry-after"]) >= 1
        # a name that is not there is answered in the same words
        console.stage.slowing.forget("name ada", "address 127.0.0.1", "name nemo")
        unknown, known = console.sign_in("nemo", "wrong password").text, console.sign_in("ada", "wrong password").text
        assert unknown == known


def test_signing_in_leads_to_no_other_site(line: CommandLine) -> None:
    for following in (
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "//[",
        "/\t/evil.example",
        "",
    ):
        with opened(line, add=PEOPLE) as console:
            answer = console.client.post(
                "/signin",
                data={"name": "ada", "password": PASSWORD, "next": following},
                headers={"Origin": HOST},
                follow_redirects=False,
            )
            assert answer.headers["location"] == "/", following


def test_a_sign_in_from_another_site_is_none(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        answer = console.client.post(
            "/signin", data={"name": "ada", "password": PASSWORD}, headers={"Origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers


def test_a_link_on_another_site_leads_to_the_page_though_the_cookie_is_strict(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        answer = console.client.get("/causes?x=1&y=%22%3E", headers={"Sec-Fetch-Site": "cross-site"})
        assert answer.status_code == 200
        assert 'content="0;url=/causes?x=1&amp;y=%22%3E"' in answer.text


def test_without_users_only_this_machine_is_answered(line: CommandLine) -> None:
    line.bury_all("call-1")
    with opened(line) as console:
        assert console.get("/causes").status_code == 200
        # a name of somebody else's that leads here, and whatever came through a proxy or a tunnel
        for headers in (
            {"Host": "evil.example:5656"},
            {"Host": "127.0.0.1.evil.example"},
            {"X-Forwarded-For": "203.0.113.9"},
            {"Forwarded": "for=203.0.113.9"},
            {"Via": "1.1 tunnel"},
        ):
            answer = console.client.get("/causes", headers=headers)
            assert answer.status_code == 403, headers
            assert "console user add" in answer.text


def test_the_network_is_refused_loudly_without_users_or_proxies(line: CommandLine) -> None:
    for host in ("0.0.0.0", "::", "10.0.0.7", "console.example"):
        with pytest.raises(ConfigurationError, match="let anyone who reaches"):
            stage_of(line, console_host=host)
    stage_of(line, console_host="0.0.0.0", console_password="a password for all")
    result = line.run("console", ROARK_INGEST_CONSOLE_HOST="0.0.0.0")
    assert result.exit_code == 1
    assert "would let anyone who reaches 0.0.0.0 replay and discard reports" in result.stderr


PROXY = {"console_proxies": "10.0.0.0/8"}


def test_a_proxy_of_the_list_names_the_user_and_the_file_their_role(line: CommandLine) -> None:
    with opened(line, add={}, client=("10.1.2.3", 1), **PROXY) as console:
        users = console.stage.door._users
        users.put("omar", Role.OPERATOR, None)
        console.client.headers["X-Forwarded-User"] = "omar"
        assert "omar<small>operator" in console.get("/").text
        console.client.headers["X-Forwarded-User"] = "eve"
        assert "eve<small>viewer" in console.get("/").text
        assert "This takes the role" in console.post("/uploads/hold", reason="x").text
        del console.client.headers["X-Forwarded-User"]
        assert console.get("/").status_code == 403
        assert (
            console.client.get("/", headers=[("X-Forwarded-User", "eve"), ("X-Forwarded-User", "omar")]).status_code
            == 403
        )


def test_nobody_else_can_say_who_they_are(line: CommandLine) -> None:
    with opened(line, client=("192.168.0.9", 1), **PROXY) as console:
        answer = console.client.get("/", headers={"X-Forwarded-User": "ada"})
        assert answer.status_code == 403
        assert "Only a proxy" in answer.text


def test_a_session_behind_a_proxy_is_of_the_user_that_it_names_now(line: CommandLine) -> None:
    with opened(line, client=("10.1.2.3", 1), **PROXY) as console:
        console.stage.door._users.put("omar", Role.OPERATOR, None)
        console.stage.door._users.put("olga", Role.OPERATOR, None)
        console.client.headers["X-Forwarded-User"] = "omar"
        token = console.token()
        console.client.headers["X-Forwarded-User"] = "olga"
        answer = console.client.post("/uploads/hold", data={"token": token, "reason": "x"}, headers={"Origin": HOST})
        assert answer.status_code == 403
        assert line.snapshot().lane.state == "open"


def test_it_works_below_a_path_whether_the_proxy_takes_that_off_or_not(line: CommandLine) -> None:
    line.bury_all("call-1")
    with opened(line, add=PEOPLE, console_path="/ops/console") as console:
        answer = console.client.get("/ops/console/causes", follow_redirects=False)
        assert answer.headers["location"] == "/ops/console/signin?next=%2Fops%2Fconsole%2Fcauses"
        answer = console.client.post(
            "/ops/console/signin",
            data={"name": "omar", "password": PASSWORD, "next": "/ops/console/causes"},
            headers={"Origin": HOST},
            follow_redirects=False,
        )
        assert answer.headers["location"] == "/ops/console/causes"
        assert "Path=/ops/console" in answer.headers["set-cookie"]
        cookie = answer.headers["set-cookie"].split(";")[0]
        for path in ("/ops/console/causes", "/causes"):
            page = console.client.get(path, headers={"Cookie": cookie}).text
            links = re.findall(r'(?:href|src|action|formaction|hx-get)="(/[^"]*)"', page)
            assert len(links) > 15
            assert [link for link in links if not link.startswith("/ops/console/")] == []
        for link in {each.split("?")[0] for each in links if "/static/" in each}:
            assert console.client.get(link).status_code == 200


def test_tricks_with_paths_lead_nowhere(console: ConsoleUnderTest) -> None:
    for path in (
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2f..%2fapp.py",
        "/static//etc/passwd",
        "/%2fevil.example/",
        "/causes/",
        "/CAUSES",
        "/%2e/causes",
        "/causes%00",
        "/static/console.js/x",
        "/templates/base.html",
    ):
        answer = console.client.get(path, follow_redirects=False)
        assert answer.status_code == 404, (path, answer.status_code)
        assert "evil" not in answer.headers.get("location", "")
        assert "def " not in answer.text


def test_no_address_holds_a_phone_number_or_a_secret(console: ConsoleUnderTest) -> None:
    for query in (
        f"/reports?text={PHONE.replace('+', '%2B')}",
        "/log?by=Bearer%20abcdef0123456789",
        "/call?id=redis://:secret@host/0",
    ):
        answer = console.client.get(query)
        assert answer.status_code == 400, query
        assert "no place in an address" in answer.text
        assert "5550101234" not in answer.text


def test_a_form_that_is_too_long_is_not_read(console: ConsoleUnderTest) -> None:
    answer = console.post("/freeze/discard", call="x" * 1_100_000)
    assert answer.status_code == 413


def test_users_are_made_listed_and_removed_by_commands(line: CommandLine) -> None:
    added = line.run(
        "console", "user", "add", "ada", "--role", "admin", "--password-stdin", stdin=f"{PASSWORD}\n".encode()
    )
    assert added.exit_code == 0, added.stderr
    path = line.folder / "data" / "console-users"
    assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in path.read_text()
    line.run("console", "user", "add", "pia", "--role", "viewer", "--no-password")
    assert line.run("console", "user", "list", "--json").documents == [
        {"user": "ada", "role": "admin", "password": True},
        {"user": "pia", "role": "viewer", "password": False},
    ]
    with opened(line) as console:
        assert "Name and password do not match" in console.sign_in("pia", "").text
        console.sign_in("ada")
        assert "ada<small>admin" in console.get("/").text
    assert line.run("console", "user", "remove", "ada", "--yes").exit_code == 0
    for wrong in (
        ["add", "a:b", "--role", "admin", "--no-password"],
        ["add", "bea", "--role", "boss", "--no-password"],
        ["add", "bea", "--role", "admin"],
        ["remove", "nobody-there", "--yes"],
    ):
        assert line.run("console", "user", *wrong).exit_code in {1, 2}
    short = line.run("console", "user", "add", "bea", "--role", "admin", "--password-stdin", stdin=b"short\n")
    assert short.exit_code == 2


def test_a_users_file_that_cannot_be_read_lets_nobody_in(line: CommandLine) -> None:
    with opened(line, add=PEOPLE) as console:
        console.sign_in("ada")
        (line.folder / "data" / "console-users").write_text("ada is the boss\n")
        answer = console.get("/")
        assert answer.status_code == 403
        assert "line 1 of" in answer.text
