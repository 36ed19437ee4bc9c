"""The plain Celery task that people write, once with the report as argument and once with its id."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import httpx
from celery import Celery

from benchmarks.peers.common import HEADERS, REDIS_URL, UPLOAD_URL, done, keep, kept, upload_body

app = Celery("plain", broker=REDIS_URL)
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3600},
)
RETRIES = {
    "autoretry_for": (httpx.HTTPError,),
    "retry_backoff": 5,
    "retry_backoff_max": 900,
    "retry_jitter": True,
    "max_retries": 20,
}


@cache
def client() -> httpx.Client:
    return httpx.Client(headers=HEADERS, timeout=60, limits=httpx.Limits(max_connections=None))


@app.task(name="upload", **RETRIES)
def upload(report: dict[str, Any]) -> None:
    body = {"vapiEndOfCallReportPayload": report, "skipAlreadyImported": True}
    client().post(UPLOAD_URL, json=body).raise_for_status()


@app.task(name="upload_by_id", **RETRIES)
def upload_by_id(call_id: str) -> None:
    client().post(UPLOAD_URL, content=upload_body(kept(call_id))).raise_for_status()
    done(call_id)


def prepare_argument(call_id: str, report: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report)
    return found


def enqueue_argument(reports: Sequence[dict[str, Any]]) -> None:
    for report in reports:
        upload.apply_async((report,))


def enqueue_by_id(reports: Sequence[tuple[str, bytes]]) -> None:
    for call_id, report in reports:
        keep([(call_id, report)])
        upload_by_id.apply_async((call_id,))
