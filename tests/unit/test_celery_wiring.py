"""Celery's spelling of the ledger's server: the same place, the same credentials."""

import pytest

from roark_producer.celery_wiring import celery_settings


@pytest.mark.parametrize(
    ("ours", "kombus"),
    [
        ("redis://ada:secret-1@redis:6379/0", "redis://ada:secret-1@redis:6379/0"),
        ("rediss://redis:6379/0", "rediss://redis:6379/0"),
        ("redis://:p%40w@[::1]/3", "redis://:p%40w@[::1]:6379/3"),
        ("unix:///run/redis.sock?db=2", "redis+socket:///run/redis.sock?virtual_host=2"),
        ("unix://ada:secret-1@/run/redis.sock", "redis+socket://ada:secret-1@/run/redis.sock?virtual_host=0"),
        ("sentinel://:pw@one:1,two:2/0?master=m", "sentinel://:pw@one:1/0;sentinel://:pw@two:2/0"),
    ],
)
def test_the_broker_is_reached_as_the_ledger_is(ours: str, kombus: str) -> None:
    assert celery_settings(ours)["broker_url"] == kombus


def test_certificates_are_demanded_unless_the_url_says_otherwise() -> None:
    assert celery_settings("rediss://redis:6379/0")["broker_use_ssl"] == {"ssl_cert_reqs": "required"}
    assert celery_settings("rediss://redis?ssl_cert_reqs=CERT_NONE")["broker_use_ssl"] == {"ssl_cert_reqs": "none"}
    assert celery_settings("redis://redis:6379/0")["broker_use_ssl"] == {}


def test_sentinels_master_is_the_one_that_is_named() -> None:
    assert celery_settings("sentinel://one:1/0?master=m")["broker_transport_options"]["master_name"] == "m"
