"""rq with simple workers, which do not fork for each job: `rq worker-pool --worker-class rq.worker.SimpleWorker`."""

from collections.abc import Sequence
from functools import cache

import httpx
from rq import Queue, Retry

from benchmarks.peers.common import HEADERS, UPLOAD_URL, server, upload_body

RETRY = Retry(max=20, interval=[5 * 2**attempt for attempt in range(8)])


@cache
def client() -> httpx.Client:
    return httpx.Client(headers=HEADERS, timeout=60)


def upload(report: bytes) -> None:
    client().post(UPLOAD_URL, content=upload_body(report)).raise_for_status()


def enqueue(reports: Sequence[tuple[str, bytes]]) -> None:
    queue = Queue(connection=server())
    for call_id, report in reports:
        queue.enqueue(upload, report, job_id=call_id, retry=RETRY, result_ttl=0)
