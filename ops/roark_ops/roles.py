"""Who may do what in Redis: one user for each kind of part and person, and the words of its permissions.

    producer   takes reports in: webhooks, `enqueue`, programs
    worker     delivers them
    viewer     looks: `status`, `list`, `why`, `metrics`, Flower; it writes nothing of the ledger
    operator   acts at the desk: dead letters, replays, `erase`, repairs, and all that the others may

What a role may call is taken from the scripts that it runs (`lua/`), so a script that is changed takes its permission
along. Redis checks each command inside a script against its caller's user, and `EVALSHA_RO` lets none write. What it
cannot check is which text is run: a producer or worker may send any script that gets by with its commands and keys.

The broker's keys and channels stand in a selector of their own, so that what is allowed there is not allowed here.
"""

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from roark_ledger.keys import DEFAULT_PREFIX
from roark_ledger.scripts import commands_in, script_names

PASSWORD = ">PASSWORD"  # noqa: S105 a word to replace
EVERYBODY = "default on nopass resetkeys resetchannels -@all +ping"
"""Whoever has no password may ask whether the server is alive, as health checks do, and nothing else."""

# The last one is for clusters, whose nodes are asked where the ledger is.
_CONNECTION = ("+@connection", "-@dangerous", "+acl|whoami", "+cluster|slots")
_PROMISE = ("+time", "+info", "+wait", "+waitaof")
_RUN = ("+evalsha", "+script|load")
_LOOK = (
    *(
        "hget",
        "hmget",
        "hgetall",
        "hlen",
        "hexists",
        "hstrlen",
        "hscan",
        "zscan",
        "zscore",
        "zcard",
        "zcount",
        "zrange",
    ),
    *("zrangebyscore", "zrevrange", "zrevrangebyscore", "zrank", "llen", "lindex", "lrange", "lpos", "scard"),
    *("sismember", "smismember", "xrange", "xrevrange", "xlen"),
)
# Whoever needs a call that is still to be moved to its partition moves it there.
_BRING_OVER = ("moving_export", "moving_adopt")
# Only who acts by hand, and a worker that removes by age, has a line in the logbook.
_LOGBOOK = frozenset({"xadd", "xdel", "xrange", "xrevrange", "xtrim"})
_TYPES = "+@list +@set +@hash +@sortedset +@transaction -@dangerous"
_QUEUE = f"{_TYPES} +set +get +del +exists +evalsha +script|load +script|exists"
_WAKE = f"(~roark* ~_kombu.* ~unacked* {_QUEUE})"


class RedisRole(StrEnum):
    """A user of the ledger's server."""

    PRODUCER = "producer"
    WORKER = "worker"
    VIEWER = "viewer"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class RolePlace:
    """Where the roles apply: the keys' prefix, and the broker's database, by which its channels are called."""

    prefix: str = DEFAULT_PREFIX
    database: int = 0


def rules(role: RedisRole, place: RolePlace = RolePlace()) -> tuple[str, ...]:
    """Return the words of a role's permissions, without name and password, as `ACL SETUSER` takes them."""
    # The home's, and those of its partitions.
    keys = (f"{{{place.prefix}}}:*", f"{{{place.prefix}:*}}:*")
    reset = ("resetkeys", "resetchannels", "-@all", *_CONNECTION)
    match role:
        case RedisRole.PRODUCER:
            scripts = [*script_names("intake"), "backfill", "remember", "snapshot", *_BRING_OVER]
            commands = commands_in(scripts) - _LOGBOOK
            return (*reset, *(f"~{each}" for each in keys), *_RUN, *_PROMISE, *_allowed(commands), _WAKE)
        case RedisRole.WORKER:
            scripts = script_names("intake", "delivery", "lane", "upkeep", "watch", "replay", "reconcile")
            scripts += _BRING_OVER
            return (
                *reset,
                *(f"~{each}" for each in keys),
                *_RUN,
                *_PROMISE,
                *_allowed(commands_in(scripts) | {*_LOOK}),
                _talk(place),
            )
        case RedisRole.VIEWER:
            return (
                *reset,
                *(f"%R~{each}" for each in keys),
                "+evalsha_ro",
                "+script|load",
                *_PROMISE,
                *_allowed(frozenset(_LOOK)),
                _watch(place),
            )
        case RedisRole.OPERATOR:
            commands = commands_in(script_names()) | {*_LOOK}
            more = ("+config|get", "+bgrewriteaof", "+bgsave")
            return (*reset, *(f"~{each}" for each in keys), *_RUN, *_PROMISE, *more, *_allowed(commands), _talk(place))


def user_line(role: RedisRole, password: str = "", place: RolePlace = RolePlace()) -> str:
    """Return a user as a line of an ACL file; the password as its hash, or the word to replace."""
    secret = "#" + hashlib.sha256(password.encode()).hexdigest() if password else PASSWORD
    return " ".join(("user", role, "reset", "on", secret, *rules(role, place)))


def place_of_settings() -> RolePlace:
    """Return where the roles apply by the settings."""
    from roark_ledger.server.redis_url import parse_redis_url
    from roark_producer.servers import secret_text
    from roark_producer.settings import IngestSettings

    settings = IngestSettings()
    broker = secret_text(settings.broker_url) or secret_text(settings.redis_url)
    return RolePlace(settings.prefix, parse_redis_url(broker).db if broker else 0)


def role_of(user: str) -> RedisRole | None:
    """Return the role that a user of Redis has by its name, if it is one of ours."""
    return RedisRole(user) if user in set(RedisRole) else None


def _allowed(commands: frozenset[str]) -> tuple[str, ...]:
    return tuple(f"+{each}" for each in sorted(commands - {"time", "info"}))


def _talk(place: RolePlace) -> str:
    """The broker for who works on it and is talked to: queues, remote control and events."""
    channels = f"&/{place.database}.celery.pidbox &/{place.database}.celeryev/*"
    return f"(~roark* ~_kombu.* ~unacked* ~*.celery.pidbox* ~celeryev* {channels} +@pubsub {_QUEUE})"


def _watch(place: RolePlace) -> str:
    """The broker for who looks: lengths of queues, Celery's events, and questions to workers with their answers."""
    channels = f"&/{place.database}.celery.pidbox &/{place.database}.celeryev/*"
    questions = f"(~_kombu.* ~*.celery.pidbox* ~celeryev* {channels} +@pubsub {_QUEUE})"
    return f"{questions} (%R~roark* %R~unacked* +llen +hlen +zcard +exists)"
