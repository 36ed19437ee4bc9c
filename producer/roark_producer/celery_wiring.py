"""The one door to Celery: its settings on our broker, and what proves that they work there.

The settings are those that lose least on Redis: no named exchange (its binding set can vanish and publishing
then drops silently), no result backend, no acks_late (a wake-up is not worth an `unacked` entry), remote
control left on (without it a busy worker can stall for ever after Redis was away).

Celery takes a broker and a configuration from CELERY_… variables. Those are another application's: our apps do not
look at them (`celery_app`), and leave them where that application, of which we may be a part, finds them.
"""

from typing import Any
from urllib.parse import quote
from uuid import uuid4

from celery import Celery
from celery.loaders.app import AppLoader

from roark_ledger.errors import LedgerUnavailable, UnfitServer
from roark_ledger.server.connection import sentinel_arguments, tls_arguments
from roark_ledger.server.redis_causes import cause_of, missing_permission, where
from roark_ledger.server.redis_url import REDIS_SETTING, RedisPlace, parse_broker_url
from roark_producer.wake_ups import QUEUE

_PATIENCE_SECONDS = 2.0
# kombu would wait 2 and 4 seconds between its tries. It counts a Sentinel that is
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


# kombu brings back what a dead worker had in hand, whoever listens. That is the workers', no viewer may write it.
ONLY_TALKS = {name: f"_kombu.talk.{name}" for name in ("unacked_key", "unacked_index_key", "unacked_mutex_key")}


class _Loader(AppLoader):  # type: ignore[misc] # Celery has no types
    def read_configuration(self, env: str = "") -> dict[str, Any]:
        """Return nothing: CELERY_CONFIG_MODULE is not ours."""
        return {}


class _App(Celery):  # type: ignore[misc] # Celery has no types
    backend_cls = "disabled"

    def _connection(self, url: str, **options: Any) -> Any:
        # CELERY_BROKER_URL and its like would win over the configuration.
        return super()._connection(self.conf.get("broker_url") or url, **options)


def celery_app(name: str, **options: Any) -> Celery:
    """Return a Celery app that is configured by us alone, whatever CELERY_… and Django's variables say."""
    return _App(name, loader=_Loader, fixups=(), **options)


def celery_settings(broker_url: str, setting: str = REDIS_SETTING) -> dict[str, Any]:
    """Return the Celery configuration for a broker, as workers, Flower and the doctor share it.

    Raises ConfigurationError, which names the setting, when the URL cannot be read.
    """
    place = parse_broker_url(broker_url, setting)
    url, transport = _for_kombu(place)
    return {
        "broker_url": url,
        "broker_use_ssl": {name: value for name, value in tls_arguments(place, place.tls).items() if name != "ssl"},
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


def _for_kombu(place: RedisPlace) -> tuple[str, dict[str, Any]]:
    # kombu spells the same servers in its own way.
    credentials = _credentials(place)
    if place.socket:
        return f"redis+socket://{credentials}{quote(place.socket)}?virtual_host={place.db}", {}
    hosts = [f"[{host}]:{port}" if ":" in host else f"{quote(host)}:{port}" for host, port in place.hosts]
    if place.master:
        options = {"master_name": place.master, "sentinel_kwargs": sentinel_arguments(place)}
        return ";".join(f"sentinel://{credentials}{host}/{place.db}" for host in hosts), options
    return f"redis{'' if place.tls is None else 's'}://{credentials}{hosts[0]}/{place.db}", {}


def _credentials(place: RedisPlace) -> str:
    if place.username is None and place.password is None:
        return ""
    return f"{quote(place.username or '', safe='')}:{quote(place.password or '', safe='')}@"


def exercise(broker_url: str, setting: str = REDIS_SETTING, *, only_talk: bool = False) -> str:
    """Declare, publish, pop and acknowledge on a queue of its own; return why workers cannot be talked to, or "".

    Whoever never sends or takes a wake-up only tries whether workers can be talked to.

    Raises UnfitServer when the broker refuses one of them, LedgerUnavailable when it cannot be reached.
    """
    place = parse_broker_url(broker_url, setting)
    app = celery_app("roark-proof", set_as_current=False)
    app.conf.update(celery_settings(broker_url, setting))
    app.conf.broker_transport_options.update(_IMPATIENT | (ONLY_TALKS if only_talk else {}))
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE_SECONDS)
            channel = connection.channel()
            if only_talk:
                channel.qos.restore_visible()
            else:
                _exercise_queue(channel)
            return _exercise_channels(channel)
    except Exception as error:  # noqa: BLE001 whatever kombu or redis-py raise: it is the broker that failed
        if lacking := missing_permission(error):
            raise UnfitServer(f"the broker can't carry wake-ups: {lacking}{where(place)}") from None
        why = cause_of(error, place)
        raise LedgerUnavailable(f"the broker is unusable: {why}") from None
    finally:
        app.close()


def _exercise_queue(channel: Any) -> None:
    name = f"{QUEUE}.proof.{uuid4().hex[:12]}"
    channel.exchange_declare(exchange=name, type="direct")
    channel.queue_declare(queue=name)
    channel.queue_bind(queue=name, exchange=name, routing_key=name)
    try:
        for _ in range(2):
            channel.basic_publish(channel.prepare_message("{}"), exchange=name, routing_key=name)
        channel.basic_ack(channel.basic_get(name).delivery_tag)
        channel.qos.restore_visible()
        channel.client.brpop([channel._q_for_pri(name, step) for step in channel.priority_steps], timeout=1)
    finally:
        channel.queue_delete(queue=name)


def _exercise_channels(channel: Any) -> str:
    # What Celery's remote control listens on, and where its events go: both by the number of the database.
    prefix = channel.keyprefix_fanout
    try:
        channel.client.publish(f"{prefix}celeryev/{QUEUE}.proof", "")
        with channel.client.pubsub() as listener:
            listener.psubscribe(f"{prefix}celery.pidbox")
            listener.parse_response()
    except Exception as error:
        if lacking := missing_permission(error):
            return lacking
        raise
    return ""


def answering_workers(broker_url: str, seconds: float, setting: str = REDIS_SETTING) -> list[str]:
    """Return the names of the workers that answer within `seconds`.

    Raises LedgerUnavailable when the broker cannot be asked, and says why.
    """
    app = celery_app("roark-doctor", set_as_current=False)
    app.conf.update(celery_settings(broker_url, setting))
    app.conf.broker_transport_options.update(_IMPATIENT)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=_PATIENCE_SECONDS)
            return sorted(app.control.inspect(timeout=seconds, connection=connection).ping() or {})
    except Exception as error:
        why = missing_permission(error) or cause_of(error, parse_broker_url(broker_url, setting))
        raise LedgerUnavailable(f"can't ask the broker for its workers: {why}") from error
    finally:
        app.close()
