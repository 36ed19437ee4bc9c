"""A worker for tests only: it dies whenever it is about to upload the call that POISON names."""

import os
from typing import Any

from roark_worker import app as worker_app
from roark_worker.delivery import Delivery

_attempt = Delivery._attempt


async def _or_die(self: Delivery, report: Any, *more: Any) -> Any:
    if report.call_id == os.environ["POISON"]:
        os._exit(139)
    return await _attempt(self, report, *more)


Delivery._attempt = _or_die  # type: ignore[method-assign]
app = worker_app.app
