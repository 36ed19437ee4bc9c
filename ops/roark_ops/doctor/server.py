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
_RESTS = "while Redis rewrites its file it syncs nothing: accepting waits for up to 4 s, and webhooks spool"
_SYNC_IN_REWRITES = "CONFIG SET no-appendfsync-on-rewrite no, and the same in the server's configuration file."


def judge_version(server: Server) -> Check:
    """Say whether the server can run the ledger's scripts."""
    try:
        check_fit(server)
    except UnfitServer as error:
        found, _, mend = str(error).partition(". ")
        return fail("server", found, mend or f"Use Redis 7, Valkey, or newer. See {SERVERS_PAGE}")
    if server.hidden:
        hint = f"Optional. ACL SETUSER OUR-USER {' '.join(server.hidden)} lets the doctor see more: {SERVERS_PAGE}"
        return warn("server", f"{server.name} answers, but its ACL denies {', '.join(server.hidden)}", hint)
    at = f", the cluster's node {server.node}, which has the ledger now" if server.node else ""
    return ok("server", f"{server.name} answers{at}")


def judge_broker(proven: ProvenBroker) -> Check:
    """Say whether workers can be talked to, where the broker carries wake-ups."""
    if not proven.silent:
        return ok("broker", "can declare, publish and consume wake-ups")
    without = "without it, workers run without remote control and events, so Flower and the doctor can't see them"
    return warn("broker", f"carries wake-ups, but {proven.silent}", f"Grant it: {without}.")


def judge_durability(promise: str, server: Server) -> Check:
    """Say whether the server keeps the promise."""
    try:
        kept = keep(promise, server).sentence
        if promise == "fsync" and server.rests_in_rewrites:
            return warn("durability", f"{kept}, but {_RESTS}", _SYNC_IN_REWRITES)
        return ok("durability", kept)
    except BrokenPromise as error:
        found, _, mend = str(error).partition(" Fix it with: ")
        return fail("durability", found, mend or "Or set ROARK_INGEST_DURABILITY to fsync or memory.")


def judge_eviction(server: Server) -> Check:
    """Say whether the server may throw reports away when its memory is short."""
    match server.eviction:
        case "noeviction":
            return ok("eviction", "noeviction: when memory is full, new reports are refused and none is evicted")
        case None:
            return warn(
                "eviction", "the server hides its maxmemory-policy", "Make sure that your provider sets noeviction."
            )
        case policy:
            return fail(
                "eviction",
                f"{policy}: when memory is full, Redis deletes reports",
                "CONFIG SET maxmemory-policy noeviction, and the same in the server's configuration file.",
            )


def judge_memory(used: int, limit: int, machine: int) -> Check:
    """Say how much room there is. Sizes in bytes; a `limit` or `machine` of 0 is not known."""
    room = limit or machine
    named = "maxmemory" if limit else "this machine's memory; no maxmemory is set"
    if not room:
        return ok("memory", f"{_mb(used)} used, limit unknown")
    share = used / room
    found = f"{_mb(used)} of {_mb(room)} used ({share:.0%} of {named})"
    mend = "Give Redis more memory, or find out why reports pile up: roark-ingest status"
    if limit and share >= SHORT_SHARE:
        return fail("memory", f"{found}: new reports are refused above {SHORT_SHARE:.0%}", mend)
    if share >= _MOST_USED:
        return warn("memory", found, mend)
    return ok("memory", found)


_REFUSALS = {
    "MISCONF": "Redis can't write to its disk: free some space or fix the permissions, and check its log.",
    "NOPERM": "Grant this ACL user what is missing: ACL SETUSER (test it with ACL DRYRUN).",
    "READONLY": "This is a replica: set ROARK_INGEST_REDIS_URL to the primary, or to Sentinel.",
    "OOM": "Give Redis more memory, or wait for the workers: roark-ingest status",
    "BUSY": "Another application's script blocks Redis: SCRIPT KILL ends it.",
    "LOADING": "Wait: Redis is still loading its data.",
    "NOREPLICAS": "Too few replicas are connected for its min-replicas-to-write.",
    "CLUSTERDOWN": "Restore the cluster's missing nodes.",
}


def judge_refusal(error: LedgerRefuses) -> Check:
    """Say why Redis takes no report, though it answers, and what mends that. Webhooks spool meanwhile."""
    mend = _REFUSALS.get(error.code, "Check Redis's log.")
    return fail("accepting", f"{error}. Webhooks spool new reports to disk", mend)


def judge_clock(skew_seconds: float) -> Check:
    """Say whether Redis's clock, which counts, and this machine's agree. Positive: Redis's is ahead."""
    if abs(skew_seconds) < _SKEW_SECONDS:
        return ok("clock", "Redis's clock matches this machine's")
    direction = "ahead of" if skew_seconds > 0 else "behind"
    return warn(
        "clock",
        f"Redis's clock is {abs(skew_seconds):.0f} s {direction} this machine's",
        "Use NTP on both. Reports use Redis's clock; webhook signatures use this machine's.",
    )


def _mb(size: int) -> str:
    return f"{size / _MB:,.0f} MB"
