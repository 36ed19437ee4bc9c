"""What a broker and a server must allow, on real ones: proved at the start, named when it is missing."""

import contextlib
import logging
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from certificates import Authority
from commands import CommandLine, report
from pipeline import free_port, wait_until
from servers import Server, redis7_binary, running

from roark_ledger.errors import BrokenPromise, ConfigurationError, LedgerUnavailable, UnfitServer
from roark_ledger.ledger import Ledger
from roark_ledger.server.connection import connect
from roark_ledger.server.durability import inspect, keep
from roark_ledger.server.redis_url import BROKER_SETTING
from roark_producer.celery_wiring import answering_workers
from roark_producer.proving import prove_broker, prove_ledger
from roark_producer.wake_ups import WakeUps, ignored_variables, tell_ignored_variables

EVERYTHING = ("~*", "&*", "+@all")


@pytest.fixture(scope="module", params=["valkey", "redis7"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with running(binary=redis7_binary() if request.param == "redis7" else None, tcp=True) as server:
        yield server


@contextlib.contextmanager
def user(server: Server, *rules: str) -> Iterator[str]:
    """A URL of a user with these rights and no others."""
    with connect(server.url) as admin:
        admin.execute_command("ACL", "SETUSER", "ada", "reset", "on", ">hush", *rules)  # type: ignore[no-untyped-call] # redis-py's own
        try:
            yield f"redis://ada:hush@127.0.0.1:{server.port}/0"
        finally:
            admin.execute_command("ACL", "DELUSER", "ada")  # type: ignore[no-untyped-call] # redis-py's own


def keys(server: Server) -> set[bytes]:
    with connect(server.url) as admin:
        found: list[bytes] = admin.keys("*")  # type: ignore[assignment] # sync
        return set(found)


def test_the_proof_leaves_nothing_behind(server: Server) -> None:
    before = keys(server)

    assert prove_broker(server.url, BROKER_SETTING).silent == ""

    assert keys(server) <= before | {b"unacked_mutex"}


@pytest.mark.parametrize("command", ["brpop", "rpop", "lpush", "sadd", "zadd", "multi", "client|setname", "select"])
def test_a_command_that_the_brokers_user_may_not_run_is_named(server: Server, command: str) -> None:
    database = "3" if command == "select" else "0"
    with user(server, *EVERYTHING, f"-{command}") as url, pytest.raises(UnfitServer) as caught:
        prove_broker(url.removesuffix("0") + database, BROKER_SETTING)

    assert f"does not grant our user +{command}" in str(caught.value)
    assert BROKER_SETTING in str(caught.value)
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("rules", "named"), [(("-evalsha",), "+evalsha"), (("resetkeys",), "keys")])
def test_so_it_is_for_the_ledger(server: Server, rules: tuple[str, ...], named: str, prefix: str) -> None:
    words = f"does not grant our user .*{named.strip('+')}.*ROARK_INGEST_REDIS_URL"
    with user(server, *EVERYTHING, *rules) as url, connect(url) as client, pytest.raises(UnfitServer, match=words):
        prove_ledger(Ledger(client, prefix=prefix))


def test_without_channels_wake_ups_go_and_it_is_told(server: Server) -> None:
    with user(server, "~*", "resetchannels", "+@all") as url:
        assert "does not grant our user channels" in prove_broker(url, BROKER_SETTING).silent
        with pytest.raises(LedgerUnavailable, match="channels"):
            answering_workers(url, 0.1)


def test_without_info_the_server_is_found_out_by_trying(server: Server) -> None:
    with user(server, *EVERYTHING, "-@dangerous") as url, connect(url) as client:
        found = inspect(client)

        assert found.version >= (7, 0)
        assert found.hidden == ("+info", "+config|get")
        if found.has_waitaof:
            assert keep("fsync", found).after_write == ("WAITAOF", 1, 0, 4000)
            prove_ledger(Ledger(client, after_write=keep("fsync", found).after_write))
        else:
            with pytest.raises(BrokenPromise, match=r"ACL SETUSER OUR-USER \+info \+config\|get"):
                keep("fsync", found)
        assert keep("memory", found).after_write == ()


def test_without_config_the_remedy_is_the_permission(server: Server) -> None:
    with user(server, *EVERYTHING, "-config") as url, connect(url) as client:
        found = inspect(client)
        assert found.hidden == ("+config|get",)
        if not found.has_waitaof:
            with pytest.raises(BrokenPromise, match=r"ACL SETUSER OUR-USER \+config\|get"):
                keep("fsync", found)


@pytest.mark.parametrize("kind", ["valkey", "redis7"])
def test_a_node_of_a_cluster_is_refused_in_words(kind: str) -> None:
    binary = redis7_binary() if kind == "redis7" else None
    with running(binary=binary, tcp=True, cluster_enabled="yes") as server, connect(server.url) as client:
        with pytest.raises(UnfitServer, match="is a node of a cluster"):
            keep("fsync", inspect(client))
        with pytest.raises(UnfitServer, match="ROARK_INGEST_BROKER_URL names a cluster"):
            prove_broker(server.url, BROKER_SETTING)


def test_a_sockets_database_is_the_ledgers_and_the_brokers(valkey: Server) -> None:
    url = f"{valkey.url}?db=7"
    with connect(url) as client:
        client.flushdb()
        waker = WakeUps(url)
        assert waker.publish()
        assert client.llen("roark") == 1
        client.flushdb()


@pytest.mark.parametrize(
    "variable",
    [
        "CELERY_BROKER_URL",
        "CELERY_BROKER_WRITE_URL",
        "CELERY_RESULT_BACKEND",
        "CELERY_CONFIG_MODULE",
        "CELERY_LOADER",
        "DJANGO_SETTINGS_MODULE",
    ],
)
def test_another_applications_variables_change_nothing(
    valkey: Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "redis://127.0.0.1:9/0" if "URL" in variable else "no_such_thing")
    url = f"{valkey.url}?db=8"
    with connect(url) as client:
        client.flushdb()
        assert WakeUps(url).publish()
        assert client.llen("roark") == 1
        client.flushdb()
    assert prove_broker(url, BROKER_SETTING).silent == ""


def test_only_variables_that_are_ignored_are_said_to_be(
    valkey: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A plain `celery worker` takes options from CELERY_WORKER_…, and wakes others as every producer does.
    caplog.set_level(logging.WARNING)
    for variable in ("CELERY_WORKER_CONCURRENCY", "CELERY_BROKER_URL", "CELERY_LOG_LEVEL"):
        monkeypatch.setenv(variable, "7")
    tell_ignored_variables.cache_clear()
    WakeUps(valkey.url)
    WakeUps(valkey.url)
    told = [record.fields["variables"] for record in caplog.records if record.msg == "celery_variables_ignored"]  # type: ignore[attr-defined] # `event` sets it
    assert told == ["CELERY_BROKER_URL"]
    assert "CELERY_WORKER_CONCURRENCY" in ignored_variables()


class TestAWakeUpThatFails:
    def test_never_raises_and_says_why_once(
        self, valkey: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        caplog.set_level(logging.WARNING)
        waker = WakeUps("redis://:hush@127.0.0.1:9", BROKER_SETTING)
        monkeypatch.setattr("roark_producer.wake_ups._QUIET_TIMES", 0)

        assert [waker.publish() for _ in range(3)] == [False] * 3

        told = [record for record in caplog.records if record.msg == "wake_up_failed"]
        assert [record.fields["cause"] for record in told] == [  # type: ignore[attr-defined] # `event` sets it
            "connection refused (ROARK_INGEST_BROKER_URL: 127.0.0.1:9)"
        ]

    @pytest.mark.parametrize("command", ["lpush", "smembers"])
    def test_so_it_is_with_a_permission(self, server: Server, command: str) -> None:
        with user(server, *EVERYTHING, f"-{command}") as url:
            assert WakeUps(url).publish() is (command != "lpush")

    def test_a_broker_that_never_answers_takes_a_tenth_of_the_time_at_most(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            waker = WakeUps(f"redis://127.0.0.1:{silent.getsockname()[1]}")
            started = time.monotonic()
            assert [waker.publish() for _ in range(200)] == [False] * 200
            assert time.monotonic() - started < 6


def refused(url: str) -> Any:
    with connect(url) as client, pytest.raises(LedgerUnavailable) as caught:
        inspect(client)
    assert "hush" not in str(caught.value)
    return str(caught.value)


class TestErrorsNameSettingServerAndCause:
    def test_passwords(self, server: Server) -> None:
        with user(server, *EVERYTHING) as url:
            assert "wrong user name or password" in refused(url.replace("hush", "hush-hush"))
        with connect(server.url) as admin:
            admin.config_set("requirepass", "hush")
            try:
                assert "requires a password" in refused(f"redis://127.0.0.1:{server.port}")
            finally:
                admin.config_set("requirepass", "")

    def test_places(self, server: Server, tmp_path: Any) -> None:
        assert refused("redis://127.0.0.1:9") == (
            "Redis is unreachable: connection refused (ROARK_INGEST_REDIS_URL: 127.0.0.1:9)"
        )
        assert "DNS" in refused("redis://:hush@no-such-host.invalid")
        assert "no such socket" in refused(f"unix://{tmp_path}/nobody.sock")
        assert "TLS" in refused(f"rediss://127.0.0.1:{server.port}?socket_timeout=0.5&socket_connect_timeout=0.5")
        assert "no Sentinel is reachable" in refused("sentinel://:hush@127.0.0.1:9?master=m")


def test_a_database_that_is_not_there_is_a_setting(server: Server) -> None:
    with connect(f"redis://127.0.0.1:{server.port}/99") as client, pytest.raises(UnfitServer, match="DB index"):
        inspect(client)


def test_a_server_too_old_for_the_scripts_is_told_so(real_client: "redis.Redis") -> None:
    from dataclasses import replace

    old = replace(inspect(real_client), name="Redis 6.2.14", version=(6, 2, 14))
    with pytest.raises(UnfitServer, match=r"Redis 6\.2\.14 .*is too old"):
        keep("memory", old)


class TestTls:
    """Redis 7 with the certificate of a private CA, and what the client says when something does not fit."""

    @pytest.fixture
    def speaks_tls(self, tmp_path: Path) -> Iterator[tuple[Authority, str]]:
        authority, port = Authority(tmp_path), free_port()
        command = [str(redis7_binary()), "--port", "0", "--tls-port", str(port), *authority.server]
        command += ["--tls-auth-clients", "no", "--save", ""]
        url = f"rediss://127.0.0.1:{port}"
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        try:
            wait_until(lambda: answers(f"{url}?ssl_cert_reqs=CERT_NONE"), "it answers")
            yield authority, url
        finally:
            process.terminate()
            process.wait()

    def test_each_misfit_has_its_words(self, speaks_tls: tuple[Authority, str], tmp_path: Path) -> None:
        authority, url = speaks_tls
        assert answers(f"{url}?ssl_ca_certs={authority.ca}")
        assert answers(f"{url}?ssl_ca_certs={authority.ca}&ssl_cert_reqs=CERT_REQUIRED")
        untrusted = refused(url)
        assert "certificate is not trusted" in untrusted
        assert "ssl_ca_certs" in untrusted
        port = url.rpartition(":")[2]
        # 127.0.0.2 is this machine as well, and not in the certificate.
        assert "not valid for '127.0.0.2'" in refused(f"rediss://127.0.0.2:{port}?ssl_ca_certs={authority.ca}")
        assert "rediss://" in refused(f"redis://127.0.0.1:{port}")
        (tmp_path / "no.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError, match="must name a PEM file"):
            connect(f"{url}?ssl_ca_certs={tmp_path}/no.pem")
        with pytest.raises(ConfigurationError, match="a certificate and its key"):
            connect(f"{url}?ssl_certfile={authority.certificate}&ssl_keyfile={tmp_path}/ca.key")

    def test_the_broker_is_told_by_the_same_words(self, speaks_tls: tuple[Authority, str]) -> None:
        authority, url = speaks_tls
        assert prove_broker(f"{url}?ssl_ca_certs={authority.ca}", BROKER_SETTING).silent == ""
        assert prove_broker(f"{url}?ssl_cert_reqs=CERT_NONE", BROKER_SETTING).silent == ""
        with pytest.raises(LedgerUnavailable, match=r"certificate is not trusted.*ROARK_INGEST_BROKER_URL"):
            prove_broker(url, BROKER_SETTING)


def answers(url: str) -> bool:
    with contextlib.suppress(redis.RedisError), connect(url) as client:
        return bool(client.ping())
    return False


def test_enqueue_stores_says_why_nobody_is_woken_and_ends_well(valkey: Server, prefix: str, tmp_path: Path) -> None:
    line = CommandLine(valkey.url, prefix, tmp_path)
    environment = {
        "ROARK_INGEST_BROKER_URL": "redis://:hush@127.0.0.1:9/0",
        "CELERY_RESULT_BACKEND": "django-db",
        "CELERY_BROKER_URL": "amqp://elsewhere",
    }
    process = line.process("enqueue", "--json", "-", stdin=subprocess.PIPE, env=environment)
    stdout, stderr = process.communicate(report("call-1"), timeout=60)
    assert process.returncode == 0
    assert b'"result":"accepted"' in stdout.replace(b" ", b"")
    assert b"connection refused (ROARK_INGEST_BROKER_URL: 127.0.0.1:9)" in stderr
    assert stderr.count(b"CELERY_BROKER_URL, CELERY_RESULT_BACKEND") == 1
    assert b"Traceback" not in stderr
    assert b"hush" not in stderr
