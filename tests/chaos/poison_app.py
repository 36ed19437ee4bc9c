"""A worker for tests only: it dies whenever it is about to upload the call that POISON names."""

import os

from roark_worker import app as worker_app
from roark_worker.attempt import Attempt
from roark_worker.journey import Journey

_upload = Journey._upload


async def _or_die(self: Journey, attempt: Attempt) -> None:
    if attempt.held.call_id == os.environ["POISON"]:
        os._exit(139)
    await _upload(self, attempt)


Journey._upload = _or_die  # type: ignore[method-assign]
app = worker_app.app
