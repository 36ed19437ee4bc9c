"""Wake-ups: the Celery task `roark.deliver` without arguments, put on the broker's list as Celery itself would.

A wake-up says only that there is work, so it may be lost, doubled or late without harm; nothing here is retried for
long. It is one LPUSH, so whoever only takes reports in needs no Celery: importing it takes a third of a second and
30 MB, publishing with it ten times as long, and its connections do not survive a fork. A test holds the message
against Celery's own.
"""

import json
import logging
import os
import socket
import time
from base64 import b64encode
from functools import cache
from typing import Any
from uuid import uuid4

from roark_ledger.logs import event
from roark_ledger.server.connection import connect
from roark_ledger.server.redis_causes import cause_of, missing_permission
from roark_ledger.server.redis_url import REDIS_SETTING, parse_broker_url

logger = logging.getLogger(__name__)

DELIVER_TASK = "roark.deliver"
QUEUE = "roark"
_PATIENCE_SECONDS = 2.0
_QUIET_TIMES = 9
_LONGEST_QUIET_SECONDS = 20.0
_BODY = b64encode(b'[[], {}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]').decode()


def message() -> bytes:
    """Return a wake-up in Celery's message protocol 2, in the envelope of kombu's Redis transport."""
    task_id = str(uuid4())
    headers: dict[str, Any] = {
        "lang": "py",
        "task": DELIVER_TASK,
        "id": task_id,
        "shadow": None,
        "eta": None,
        "expires": None,
        "group": None,
        "group_index": None,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": task_id,
        "parent_id": None,
        "argsrepr": "()",
        "kwargsrepr": "{}",
        "origin": f"gen{os.getpid()}@{socket.gethostname()}",
        "ignore_result": True,
        "replaced_task_nesting": 0,
        "stamped_headers": None,
        "stamps": {},
    }
    properties = {
        "correlation_id": task_id,
        "reply_to": "",
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": QUEUE},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid4()),
    }
    found = {
        "body": _BODY,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": properties,
    }
    return json.dumps(found).encode()


class WakeUps:
    """Publishes wake-ups. Safe to share between threads, and with forked processes."""

    def __init__(self, broker_url: str, setting: str = REDIS_SETTING) -> None:
        # In `celery worker` those that begin like this are options of its command line, and count.
        tell_ignored_variables(but="CELERY_WORKER_")
        self._place = parse_broker_url(broker_url, setting)
        self._client = connect(broker_url, setting, seconds=_PATIENCE_SECONDS)
        self._quiet_until = 0.0
        self._told = ""

    def publish(self) -> bool:
        """Publish one wake-up; return False when the broker did not take it. Never raises.

        A wake-up that fails costs a second: the workers' tick publishes another while reports are ready. After a
        failure the broker is left alone for a while, so that it never takes more than a tenth of the sender's time.
        """
        started = time.monotonic()
        if started < self._quiet_until:
            return False
        try:
            self._client.lpush(QUEUE, message())
        except Exception as error:  # noqa: BLE001 a lost hint must not fail what is stored, whatever lost it
            now = time.monotonic()
            self._quiet_until = now + min(_QUIET_TIMES * (now - started), _LONGEST_QUIET_SECONDS)
            self._tell(missing_permission(error) or cause_of(error, self._place))
            return False
        self._told = ""
        return True

    def _tell(self, cause: str) -> None:
        if cause != self._told:
            event(
                logger,
                "wake_up_failed",
                level=logging.WARNING,
                cause=cause,
                hint="no report is lost; workers find them within seconds",
            )
        self._told = cause

    def close(self) -> None:
        """Close the connections to the broker."""
        self._client.close()


def ignored_variables() -> list[str]:
    """Return the names of Celery's variables in this environment, without those that Celery's worker sets itself."""
    return sorted(name for name in os.environ if name.startswith("CELERY_") and not name.startswith("CELERY_LOG_"))


@cache
def tell_ignored_variables(*, but: str = "") -> None:
    """Say once in a process which of Celery's variables are not looked at; those that begin with `but` are."""
    if names := [name for name in ignored_variables() if not but or not name.startswith(but)]:
        hint = "another application's: the broker is ROARK_INGEST_BROKER_URL, or else ROARK_INGEST_REDIS_URL"
        event(logger, "celery_variables_ignored", level=logging.WARNING, variables=", ".join(names), hint=hint)
