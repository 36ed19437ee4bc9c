"""Judges the Redis server: does it keep what was promised, is there room, is its clock right? Pure."""

from roark_ledger.errors import BrokenPromise, LedgerRefuses, UnfitServer
from roark_ledger.records.snapshot import SHORT_SHARE
from roark_ledger.server.durability import Server, check_fit, keep
from roark_ledger.server.redis_causes import SERVERS_PAGE
from roark_ops.doctor.check import Check, fail, ok, warn
from roark_producer.proving import ProvenBroker

_SKEW_SECONDS = 2.0
_MOST_USED = 0.7
_MB = 1_000_000


def judge_version(server: Server) -> Check:
    """Say whether the server can run the ledger's scripts."""
    try:
        check_fit(server)
    except UnfitServer as error:
        found, _, mend = str(error).partition(". ")
        return fail("server", found, mend or f"Use Redis 7, Valkey, or newer. See {SERVERS_PAGE}")
    if server.hidden:
        hint = f"Not needed. With ACL SETUSER OUR-USER {' '.join(server.hidden)} the doctor sees more: {SERVERS_PAGE}"
        return warn("server", f"{server.name} answers, and its ACL hides {', '.join(server.hidden)} from us", hint)
    return ok("server", f"{server.name} answers")


def judge_broker(proven: ProvenBroker) -> Check:
    """Say whether workers can be talked to, where the broker carries wake-ups."""
    if not proven.silent:
        return ok("broker", "declares, publishes and hands out wake-ups")
    without = "workers run without remote control and events: Flower and the doctor do not see them"
    return warn("broker", f"carries wake-ups, but {proven.silent}", f"Grant it; {without}.")


def judge_durability(promise: str, server: Server) -> Check:
    """Say whether the server keeps the promise."""
    try:
        return ok("durability", keep(promise, server).sentence)
    except BrokenPromise as error:
        found, _, mend = str(error).partition(" Mend it with: ")
        return fail("durability", found, mend or "Or choose another ROARK_INGEST_DURABILITY: fsync, memory.")


def judge_eviction(server: Server) -> Check:
    """Say whether the server may throw reports away when its memory is short."""
    match server.eviction:
        case "noeviction":
            return ok("eviction", "noeviction: when memory is full, reports are refused, and none is thrown away")
        case None:
            return warn(
                "eviction", "the server does not tell its maxmemory-policy", "See that your provider sets noeviction."
            )
        case policy:
            return fail(
                "eviction",
                f"{policy}: when memory is short, reports vanish",
                "CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration file.",
            )


def judge_memory(used: int, limit: int, machine: int) -> Check:
    """Say how much room there is. Sizes in bytes; a `limit` or `machine` of 0 is not known."""
    room = limit or machine
    named = "maxmemory" if limit else "this machine's memory, no maxmemory is set"
    if not room:
        return ok("memory", f"{_mb(used)} used, no limit is known")
    share = used / room
    found = f"{_mb(used)} of {_mb(room)} used ({share:.0%} of {named})"
    mend = "Give it more memory, or see why reports pile up: roark-ingest status"
    if limit and share >= SHORT_SHARE:
        return fail("memory", f"{found}: reports are refused from {SHORT_SHARE:.0%} on", mend)
    if share >= _MOST_USED:
        return warn("memory", found, mend)
    return ok("memory", found)


_REFUSALS = {
    "MISCONF": "Redis cannot save to its disk: make room there or give it the right to, and see its log.",
    "NOPERM": "Give this ACL user what it is missing: ACL SETUSER, and ACL DRYRUN tries it.",
    "READONLY": "It is a replica: let ROARK_INGEST_REDIS_URL name the primary, or Sentinel.",
    "OOM": "Give Redis more memory, or let the workers deliver: roark-ingest status",
    "BUSY": "A script that is not ours blocks Redis: SCRIPT KILL ends it.",
    "LOADING": "Wait: it is still reading its data.",
    "NOREPLICAS": "Too few replicas are connected for its min-replicas-to-write.",
    "CLUSTERDOWN": "Bring the cluster's missing nodes back.",
}


def judge_refusal(error: LedgerRefuses) -> Check:
    """Say why Redis takes no report, though it answers, and what mends that. Webhooks spool meanwhile."""
    mend = _REFUSALS.get(error.code, "Look in Redis's own log.")
    return fail("accepting", f"{error}. Webhooks keep what comes in their spools", mend)


def judge_clock(skew_seconds: float) -> Check:
    """Say whether Redis's clock, which counts, and this machine's agree. Positive: Redis's is ahead."""
    if abs(skew_seconds) < _SKEW_SECONDS:
        return ok("clock", "Redis's clock and this machine's agree")
    direction = "ahead of" if skew_seconds > 0 else "behind"
    return warn(
        "clock",
        f"Redis's clock is {abs(skew_seconds):.0f} s {direction} this machine's",
        "Let both keep time by NTP. Reports are timed by Redis's clock, a webhook's signatures by this machine's.",
    )


def _mb(size: int) -> str:
    return f"{size / _MB:,.0f} MB"
