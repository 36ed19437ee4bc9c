"""Without a secret: who asks this machine directly, and who asks for others."""

import pytest

from roark_producer.webhook.door.authentication import DoorReason, DoorRefused, Granted, Inbound
from roark_producer.webhook.door.open_gate import OpenGate


def judged(*headers: tuple[str, str]) -> Granted | DoorRefused:
    sent = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    return OpenGate().judge_head(Inbound("POST", b"/vapi", sent, b""), 0.0)


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8787", "LOCALHOST:8787", "127.0.0.1:8787", "127.3.2.1", "[::1]:8787", "x.localhost"],
)
def test_a_direct_request_of_this_machine_passes(host: str) -> None:
    assert judged(("host", host)) == Granted()
    assert judged(("host", host), ("sec-fetch-site", "none")) == Granted()
    assert judged(("host", host), ("origin", f"http://{host}"), ("sec-fetch-site", "same-origin")) == Granted()


def test_a_request_without_a_host_passes() -> None:
    assert judged() == Granted()


@pytest.mark.parametrize(
    "name",
    ["x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via", "x-real-ip", "cf-connecting-ip"],
)
def test_who_asks_for_others_does_not_pass(name: str) -> None:
    assert judged(("host", "localhost"), (name, "127.0.0.1")) == DoorRefused(DoorReason.FORWARDED)


@pytest.mark.parametrize(
    "host",
    [
        "ab12.ngrok.app",
        "10.0.0.5:8787",
        "localhost.evil.com",
        "127.0.0.1.nip.io",
        "evil@example.com",
        "[",
        "é",
        "",
        "0.0.0.0",
    ],
)
def test_another_name_for_this_machine_does_not_pass(host: str) -> None:
    assert judged(("host", host)) == DoorRefused(DoorReason.FOREIGN_HOST)
    assert judged(("host", "localhost"), ("host", host)) == DoorRefused(DoorReason.FOREIGN_HOST)


@pytest.mark.parametrize(
    "header",
    [
        ("origin", "https://evil.com"),
        ("origin", "null"),
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ],
)
def test_a_web_page_of_another_origin_does_not_pass(header: tuple[str, str]) -> None:
    assert judged(("host", "localhost:8787"), header) == DoorRefused(DoorReason.CROSS_SITE)
