"""One parser for every form of a Redis URL: what each says, and what is refused in words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.errors import ConfigurationError
from roark_ledger.server.connection import connect
from roark_ledger.server.redis_url import parse_redis_url
from roark_producer.celery_wiring import celery_settings
from roark_producer.settings import IngestSettings


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://", {"hosts": (("localhost", 6379),)}),
        ("REDIS://h", {"hosts": (("h", 6379),)}),
        ("redis://h:1/2", {"hosts": (("h", 1),), "db": 2}),
        ("redis://h?db=3", {"db": 3}),
        ("redis://h/1?db=3", {"db": 3}),
        ("redis://:p%40ss%3Aw%23rd@h", {"username": None, "password": "p@ss:w#rd"}),
        ("redis://ada:p@ss:w#r/d?x@h:1/2", {"username": "ada", "password": "p@ss:w#r/d?x", "hosts": (("h", 1),)}),
        ("redis://ada:pa ss+%@h", {"password": "pa ss+%"}),
        ("redis://ada@h", {"username": "ada", "password": None}),
        ("redis://h?username=ada&password=p%26w", {"username": "ada", "password": "p&w"}),
        ("redis://[::1]", {"hosts": (("::1", 6379),)}),
        ("redis://:pw@[fe80::1%25eth0]:6380/1", {"hosts": (("fe80::1%eth0", 6380),), "db": 1}),
        (
            "redis://h?socket_timeout=0.5&socket_keepalive=no",
            {"options": {"socket_timeout": 0.5, "socket_keepalive": False}},
        ),
        ("rediss://h", {"tls": {}}),
        ("rediss://h?ssl_cert_reqs=CERT_NONE", {"tls": {"ssl_cert_reqs": "none"}}),
        (
            "rediss://h?ssl_cert_reqs=Required&ssl_check_hostname=false",
            {"tls": {"ssl_cert_reqs": "required", "ssl_check_hostname": False}},
        ),
        ("unix:///run/a%20b.sock?db=3", {"socket": "/run/a b.sock", "db": 3}),
        ("unix:///run/a@b.sock", {"socket": "/run/a@b.sock", "username": None}),
        ("unix://ada:p@w@/run/r.sock", {"socket": "/run/r.sock", "username": "ada", "password": "p@w"}),
        ("unix:///run/r.sock?password=p%2Bw&virtual=", None),
        ("sentinel://h", {"hosts": (("h", 26379),), "master": "mymaster", "tls": None, "sentinel_tls": None}),
        (
            "sentinel://:p%40w@a:1,[::1]:2,c/4?master=m",
            {"hosts": (("a", 1), ("::1", 2), ("c", 26379)), "master": "m", "password": "p@w", "db": 4},
        ),
        (
            "sentinel://:pw@a:1/0;sentinel://:pw@b:2/0?master=m",
            {"hosts": (("a", 1), ("b", 2)), "password": "pw", "db": 0},
        ),
        ("redis+sentinel://a/m/2", {"master": "m", "db": 2}),
        (
            "sentinel://a?sentinel_username=s&sentinel_password=p%40%23",
            {"sentinel_username": "s", "sentinel_password": "p@#"},
        ),
        (
            "rediss+sentinel://a?ssl_ca_certs=/x",
            {"tls": {"ssl_ca_certs": "/x"}, "sentinel_tls": {"ssl_ca_certs": "/x"}},
        ),
        ("rediss+sentinel://a?sentinel_tls=off", {"tls": {}, "sentinel_tls": None}),
        (
            "redis+cluster://ada:p@w@a,[::1]:2",
            {"hosts": (("a", 6379), ("::1", 2)), "cluster": True, "password": "p@w", "tls": None, "master": ""},
        ),
        ("rediss+cluster://a?ssl_ca_certs=/x", {"cluster": True, "tls": {"ssl_ca_certs": "/x"}}),
        ("sentinel://a?sentinel_tls=on&ssl_cert_reqs=none", {"tls": None, "sentinel_tls": {"ssl_cert_reqs": "none"}}),
    ],
)
def test_each_form_says_where_and_how(url: str, said: dict[str, Any] | None) -> None:
    if said is None:
        with pytest.raises(ConfigurationError):
            parse_redis_url(url)
        return
    place = parse_redis_url(url)
    assert {name: getattr(place, name) for name in said} == said


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "must start with redis://"),
        ("h:6379", "must start with redis://"),
        ("amqp://:hush@h", "must start with redis://"),
        ("redis+cluster://:hush@a,b/3", "names database 3; a cluster has only database 0"),
        ("redis+cluster://a?db=1", "names database 1"),
        ("redis+cluster://a?ssl_ca_certs=x", "rediss+cluster://"),
        ("redis://:hush@::1:6379", "IPv6 addresses in brackets"),
        ("redis://:hush@h:port", "is not a valid URL"),
        ("redis://:hush@h:70000", "an invalid port"),
        ("redis://:hush@h/first", "database that is not a number"),
        ("redis://:hush@h?db=first", "database that is not a number"),
        ("redis://:hush@a,b", "several hosts"),
        ("redis://:hush@h?ssl_ca_certs=/x", "without TLS"),
        ("rediss://:hush@h?ssl_cert_reqs=maybe", "other than required, optional, none"),
        ("rediss://:hush@h?ssl_check_hostname=perhaps", "neither on nor off"),
        ("redis://:hush@h?socket_timeout=soon", "socket_timeout that is not a number"),
        ("redis://:hush@h?decode_responses=true", "unknown parameter; known are db, "),
        ("redis://:hush@h?retry_on_timeout=true", "asked for again on purpose"),
        ("unix://:hush@run/r.sock", "the socket's full path"),
        ("unix:///run/r.sock?ssl_cert_reqs=none", "a socket has no TLS"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_setting_and_without_the_url(
    url: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError, match=r"^ROARK_INGEST_BROKER_URL ") as caught:
        parse_redis_url(url, "ROARK_INGEST_BROKER_URL")
    assert words in str(caught.value)
    assert "hush" not in str(caught.value)

    if url:
        monkeypatch.setenv("ROARK_INGEST_BROKER_URL", url)
        with pytest.raises(ConfigurationError, match=r"^ROARK_INGEST_BROKER_URL: ") as caught:
            IngestSettings(_env_file=None)
        assert "hush" not in str(caught.value)


def test_neither_a_place_nor_its_repr_holds_a_password() -> None:
    place = parse_redis_url("sentinel://ada:hush-1@h?sentinel_password=hush-2")
    assert "hush" not in f"{place} {place!r}"


def test_a_file_that_cannot_be_read_is_named_with_its_setting(tmp_path: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"ROARK_INGEST_REDIS_URL: ssl_ca_certs names .*missing\.pem.*No such file"
    ):
        connect(f"rediss://h?ssl_ca_certs={tmp_path}/missing.pem")


@given(st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1))
def test_any_password_reaches_the_ledger_and_the_broker_percent_encoded(password: str) -> None:
    from urllib.parse import quote

    from kombu.utils.url import url_to_parts

    for url in ("redis://:{}@h:1/2", "unix://:{}@/run/r.sock", "sentinel://:{}@a:1,b:2?master=m"):
        spelt = url.format(quote(password, safe=""))
        assert parse_redis_url(spelt).password == password
        theirs = celery_settings(spelt)["broker_url"].split(";")[0].removeprefix("redis+")
        assert url_to_parts(theirs).password == password
