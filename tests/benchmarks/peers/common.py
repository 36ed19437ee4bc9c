"""What the peers share: where things are, the request's body, and reports that lie in Redis under their id."""

import os
from collections.abc import Sequence
from functools import cache

import redis

REDIS_URL = os.environ["BENCH_REDIS_URL"]
UPLOAD_URL = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1") + "/v1/vapi/call"
HEADERS = {"authorization": "Bearer bench-token", "content-type": "application/json"}


@cache
def server() -> redis.Redis:
    return redis.Redis.from_url(REDIS_URL)


def upload_body(report: bytes) -> bytes:
    return b'{"vapiEndOfCallReportPayload":%b,"skipAlreadyImported":true}' % report


def keep(reports: Sequence[tuple[str, bytes]]) -> None:
    """Put the reports where a task finds them by id."""
    server().mset({f"report:{call_id}": report for call_id, report in reports})


def kept(call_id: str) -> bytes:
    found = server().get(f"report:{call_id}")
    assert isinstance(found, bytes), f"no report {call_id}"
    return found


def done(call_id: str) -> None:
    server().delete(f"report:{call_id}")
