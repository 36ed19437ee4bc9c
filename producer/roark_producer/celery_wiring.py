"""The one door to Celery for producers: the settings that both ends share, and the wake-up.

A wake-up is the task `roark.deliver` without arguments. It says only that there is work, so it may be lost,
doubled or late without harm; nothing here is retried for long.

The settings are those that lose least on Redis: no named exchange (its binding set can vanish and publishing
then drops silently), no result backend, no acks_late (a wake-up is not worth an `unacked` entry), remote
control left on (without it a busy worker can stall for ever after Redis was away).
"""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery
from kombu.exceptions import OperationalError

from roark_producer.errors import LedgerUnavailable

DELIVER_TASK = "roark.deliver"
QUEUE = "roark"
_PATIENCE_SECONDS = 2.0
# kombu would wait 2 and 4 seconds between its tries, and the report's sender with it. It counts a Sentinel that is
# down as a try as well, so there must be some.
_IMPATIENT = {
    "socket_timeout": _PATIENCE_SECONDS,
    "socket_connect_timeout": _PATIENCE_SECONDS,
    "connect_retries_timeout": _PATIENCE_SECONDS,
    "max_retries": 3,
    "interval_start": 0,
    "interval_step": 0,
    "interval_max": 0,
}


def celery_settings(broker_url: str) -> dict[str, Any]:
    """Return the Celery configuration for a broker, as producers and workers share it."""
    url, transport = _for_kombu(broker_url)
    return {
        "broker_url": url,
        "broker_transport_options": {
            "visibility_timeout": 300,
            "unacked_restore_interval": 10,
            "unacked_restore_throttle": 1,
            "socket_timeout": 5,
            "socket_connect_timeout": 3,
            "socket_keepalive": True,
            # A BRPOP that hangs is given up after twice this and a second.
            "health_check_interval": 3,
            "client_name": "roark-ingest-celery",
            **transport,
        },
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_channel_error_retry": True,
        "task_default_queue": QUEUE,
        "task_ignore_result": True,
        "task_acks_late": False,
        "task_publish_retry": False,
        "task_send_sent_event": False,
        "task_serializer": "json",
        "accept_content": ["json"],
        "worker_enable_remote_control": True,
        "worker_prefetch_multiplier": 1,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": False,
    }


def _for_kombu(url: str) -> tuple[str, dict[str, Any]]:
    # kombu spells the same servers in its own way.
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"redis+socket://{parts.netloc}{parts.path}" + (f"?{parts.query}" if parts.query else ""), {}
    if parts.scheme == "sentinel":
        credentials, _, places = parts.netloc.rpartition("@")
        prefix = f"{credentials}@" if credentials else ""
        each = [f"sentinel://{prefix}{place}{parts.path}" for place in places.split(",")]
        return ";".join(each), {"master_name": parse_qs(parts.query).get("master", ["mymaster"])[0]}
    if parts.scheme == "rediss" and "ssl_cert_reqs" not in parts.query:
        return f"{url}{'&' if parts.query else '?'}ssl_cert_reqs=required", {}
    return url, {}


class WakeUps:
    """Publishes wake-ups. Safe to share between threads."""

    def __init__(self, broker_url: str) -> None:
        self._app = Celery("roark-producer", set_as_current=False)
        self._app.conf.update(celery_settings(broker_url))
        self._app.conf.broker_transport_options.update(_IMPATIENT)

    def publish(self) -> bool:
        """Publish one wake-up; return False when the broker did not take it.

        A wake-up that fails costs a second: the workers' tick publishes another while reports are ready.
        """
        try:
            self._app.send_task(DELIVER_TASK, retry=False, ignore_result=True)
        except (OperationalError, OSError):
            return False
        return True

    def close(self) -> None:
        """Close the connections to the broker."""
        self._app.close()


def answering_workers(broker_url: str, seconds: float) -> list[str]:
    """Return the names of the workers that answer within `seconds`.

    Raises LedgerUnavailable when the broker cannot be reached.
    """
    app = Celery("roark-doctor", set_as_current=False)
    app.conf.update(celery_settings(broker_url))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE_SECONDS)
            return sorted(app.control.inspect(timeout=seconds, connection=connection).ping() or {})
    except (OperationalError, OSError) as error:
        raise LedgerUnavailable(f"the broker cannot be reached ({type(error).__name__})") from error
    finally:
        app.close()
