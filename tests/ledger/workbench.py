"""A ledger with a clock to turn and the verbs of the product, so that a test reads as what happens to a call.

bench.accept("call-1", "a")        # version "a" of the report of call-1
held = bench.take("call-1")
bench.deliver(held)
assert bench.state("call-1") == "delivered"
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from clocks import Clock
from replaying import replay_at_once

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.moves import delivery, desk, intake, upkeep, watch
from roark_ledger.moves import replay as replay_jobs
from roark_ledger.moves.delivery import Bury, Claim, Claimed, Defer, Deliver, Held, Refuse, Signal
from roark_ledger.moves.intake import Acceptable, Accepted
from roark_ledger.moves.upkeep import Reaped
from roark_ledger.records.lane import Lane
from roark_ledger.records.record import Entry, Record
from roark_ledger.records.replays import Changed, Job, JobNumber, Plan, Stepped
from roark_ledger.records.snapshot import Snapshot

LEASE_MS = 60_000
DELAY_MS = 5_000
PLENTY = 10**9
DETAIL = b'{"status":503}'
REFUSAL = b'{"status":403}'
LAST_WORDS = b'{"status":403,"over":"alone"}'
LONGEST_GAP_MS = 60_000
SETUP = b'{"version":"1","token":"%b","settings":{}}'
WHO = b'{"by":"ada"}'
PATIENCE_MS = 10_000
SILENCE_MS = 30_000


def packed(call_id: str, version: str) -> bytes:
    """What lies in Redis for a report: the ledger never looks inside, so any byte may be in it."""
    return f"{version} of {call_id}".encode() + b" \x00\xff\r\n ) % '"


def acceptable(call_id: str, version: str = "a") -> Acceptable:
    return Acceptable(CallId(call_id), f"print-{version}", packed(call_id, version))


class Workbench:
    """Runs operations on one ledger with a test's usual arguments."""

    def __init__(self, ledger: Ledger, clock: Clock) -> None:
        self.ledger = ledger
        self.clock = clock
        self.run = ledger.run

    def accept(self, call_id: str = "call-1", version: str = "a", *, revisions: str = "record") -> str:
        return self.accept_all((call_id, version), revisions=revisions).results[0]

    def accept_all(self, *reports: str | tuple[str, str], revisions: str = "record", per_wakeup: int = 64) -> Accepted:
        whole = [acceptable(*report) if isinstance(report, tuple) else acceptable(report) for report in reports]
        return self.run(intake.accept(whole, revisions=revisions, per_wakeup=per_wakeup))

    def claim(
        self, wanted: int = 100, *, lease_ms: int = LEASE_MS, listen_ms: int = 0, most_bytes: int = PLENTY
    ) -> Claim:
        return self.run(delivery.claim(wanted=wanted, lease_ms=lease_ms, listen_ms=listen_ms, most_bytes=most_bytes))

    def claimed_ids(self, wanted: int = 100) -> list[str]:
        return [report.call_id for report in self.claim(wanted).reports]

    def take(self, call_id: str = "call-1", *, lease_ms: int = LEASE_MS) -> Held:
        """Claim the one report that is next, which must be this call's."""
        (report,) = self.claim(1, lease_ms=lease_ms).reports
        assert report.call_id == call_id
        return held(report)

    def deliver(self, one: Held, roark_call_id: str = "roark-1", *, keep: bool = False, detail: bytes = b"{}") -> bool:
        return self.run(delivery.deliver([Deliver(one, roark_call_id, detail)], keep_payloads=keep))[0]

    def defer(
        self, one: Held, delay_ms: int = DELAY_MS, reason: str = "status-503", *, signal: Signal = Signal.FAULT
    ) -> bool:
        return self.run(delivery.defer([Defer(one, delay_ms, reason, DETAIL, signal)]))[0]

    def bury(self, one: Held, reason: str = "status-422") -> bool:
        return self.run(delivery.bury([Bury(one, reason, b'{"status":422}')]))[0]

    def refuse(self, *refused: Held, code: str = "http_403", most_sends: int = 20) -> delivery.Recorded:
        outcomes = [Refuse(one, code, "No permission", REFUSAL, LAST_WORDS) for one in refused]
        return self.run(delivery.refuse(outcomes, longest_gap_ms=LONGEST_GAP_MS, most_sends=most_sends))

    def release(self, one: Held) -> bool:
        return self.run(delivery.release([one]))[0]

    def renew(self, one: Held, lease_ms: int = LEASE_MS) -> bool:
        return self.run(delivery.renew([one], lease_ms=lease_ms))[0]

    def reap(self, *, deaths: int = 3, most: int = 100) -> Reaped:
        return self.run(upkeep.reap(most=most, deaths=deaths))

    def promote(self, most: int = 100) -> int:
        return self.run(upkeep.promote(most=most))

    def forget(self, window_ms: int, most: int = 100) -> int:
        return self.run(upkeep.forget(window_ms=window_ms, most=most))

    def replay(self, *call_ids: str) -> list[str]:
        return replay_at_once(self.ledger, call_ids, WHO)

    def resend(self, *call_ids: str) -> list[str]:
        return self.run(desk.resend(call_ids, detail=WHO))

    def edit(self, call_id: str = "call-1", text: str = "edited", *, expires_ms: int = 0) -> str:
        """Put `text` in the place of the report that is there."""
        found = self.look(call_id)
        return self.edit_what_was(found.packed if found else b"", call_id, text, expires_ms=expires_ms)

    def edit_what_was(self, seen: bytes, call_id: str = "call-1", text: str = "edited", *, expires_ms: int = 0) -> str:
        changed = packed(call_id, text)
        return self.run(desk.edit(call_id, packed=changed, expires_ms=expires_ms, edited_from=seen, detail=WHO))

    def unedit(self, call_id: str = "call-1", *, expires_ms: int = 0) -> str:
        found = self.look(call_id)
        seen = found.packed if found else b""
        return self.run(desk.unedit(call_id, expires_ms=expires_ms, seen=seen, detail=WHO))

    def set_aside(self, *call_ids: str) -> list[str]:
        return self.run(desk.set_aside(call_ids, detail=WHO))

    def discard(self, *call_ids: str) -> list[str]:
        return self.run(desk.discard(call_ids, detail=WHO))

    def confirm(self, *call_ids: str) -> list[str]:
        return self.run(desk.confirm(call_ids, detail=WHO))

    def restore(self, *call_ids: str) -> list[str]:
        return self.run(desk.restore(call_ids, detail=WHO))

    def expire(self, state: str, window_ms: int, notice_ms: int, most: int = 100) -> upkeep.Expired:
        return self.run(upkeep.expire(state=state, window_ms=window_ms, notice_ms=notice_ms, most=most))

    def erase(self, call_id: str = "call-1", *, key: bytes = b"key") -> str:
        """Return the state that the call was in."""
        return self.run(desk.erase(call_id, key=key, who=WHO)).state

    def hold_by_hand(self, reason: str = "Roark is being moved") -> bool:
        return self.run(delivery.hold(by="ada", reason=reason))

    def hold_by_roark(
        self, witness: Held | None = None, *, gap_ms: int = 1_000, longest_gap_ms: int = 6_000, reason: str = "401"
    ) -> bool:
        return self.run(
            delivery.hold(by="roark", reason=reason, gap_ms=gap_ms, longest_gap_ms=longest_gap_ms, witness=witness)
        )

    def note_setup(self, token: str, *, started: bool = True) -> bool:
        return self.run(upkeep.note_setup(SETUP % token.encode(), started=started, most=9))

    def resume(self) -> bool:
        return self.run(delivery.resume(by="ada"))

    def pulse(self, quiet_ms: int = 1_000) -> bool:
        return self.run(upkeep.pulse(quiet_ms=quiet_ms))

    def snapshot(self) -> Snapshot:
        return self.run(watch.snapshot())

    def lane(self) -> Lane:
        return self.snapshot().lane

    def count(self, counter: str) -> int:
        return self.snapshot().total(counter)

    def look(self, call_id: str = "call-1") -> Entry | None:
        return self.run(watch.look(call_id))

    def entry(self, call_id: str = "call-1") -> Entry:
        found = self.look(call_id)
        assert found is not None
        return found

    def record(self, call_id: str = "call-1") -> Record:
        found = self.entry(call_id).record
        assert found is not None
        return found

    def events(self, call_id: str = "call-1") -> list[str]:
        return [event.name for event in self.entry(call_id).history]

    def state(self, call_id: str = "call-1") -> str:
        """The state, or `unknown` for a call that was never seen."""
        found = self.look(call_id)
        if found is None:
            return "unknown"
        return "erased" if found.record is None else found.record.state.value

    def bring(self, call_id: str, state: str) -> Held | None:
        """Lead a call that the ledger has not seen to `state`; return the lease that it was last under."""
        if state == "unknown":
            return None
        assert self.accept(call_id) == "accepted"
        if state == "ready":
            return None
        one = self.take(call_id)
        match state:
            case "uploading":
                pass
            case "waiting":
                assert self.defer(one)
            case "delivered":
                assert self.deliver(one)
            case "unconfirmed":
                assert self.deliver(one, "")
            case "dead" | "discarded":
                assert self.bury(one)
            case "erased":
                assert self.erase(call_id) == "uploading"
        if state == "discarded":
            assert self.discard(call_id) == ["discarded"]
        assert self.state(call_id) == ("delivered" if state == "unconfirmed" else state)
        return one

    def open_job(self, *call_ids: str) -> JobNumber:
        """Make a job of these dead letters as they are now; it has not started."""
        job = self.run(replay_jobs.open_job(most_open=32))
        assert job
        assert set(self.select(job, *call_ids)) <= {"selected"}
        return job

    def select(self, job: JobNumber, *call_ids: str) -> list[str]:
        return self.run(replay_jobs.select(job, [(call_id, self.record(call_id).since_ms) for call_id in call_ids]))

    def start_job(self, *call_ids: str, delay_ms: int = 0, plan: Plan = Plan()) -> JobNumber:  # noqa: B008 frozen
        job = self.open_job(*call_ids)
        assert self.run(replay_jobs.start(job, plan, delay_ms=delay_ms, who=WHO, spec=b'{"why":"mended"}'))
        return job

    def step(self, *, most: int = 100, queue_most: int = 500, keep_ms: int = 0) -> Stepped:
        return self.run(
            replay_jobs.step(
                most=most, queue_most=queue_most, patience_ms=PATIENCE_MS, silence_ms=SILENCE_MS, keep_ms=keep_ms
            )
        )

    def change_job(self, job: JobNumber, verb: Literal["pause", "resume", "cancel"], most: int = 500) -> Changed:
        return self.run(replay_jobs.change(job, verb, by="ada", reason="because", most=most))

    def job(self, number: JobNumber) -> Job:
        found = self.run(replay_jobs.job(number))
        assert found is not None
        return found

    def inventory(self) -> "Inventory":
        return Inventory.of(self.ledger)


def held(report: Claimed) -> Held:
    return Held(report.call_id, report.token)


def all_held(reports: Iterable[Claimed]) -> list[Held]:
    return [held(report) for report in reports]


# What scripts note about the server and themselves in the lane's hash; it says nothing of any report.
_NOTES = (b"memory_", b"intake_", b"promoted_at", b"audit_", b"receipts_")
_ZSETS = {
    "fresh": "ready",
    "retry": "ready",
    "replay": "ready",
    "uploading": "uploading",
    "waiting": "waiting",
    "dead": "dead",
    "discarded": "discarded",
}


@dataclass(frozen=True)
class Inventory:
    """What really lies under each key, read past the ledger's own scripts."""

    hashes: dict[str, dict[bytes, bytes]]
    zsets: dict[str, list[tuple[bytes, float]]]
    delivered: list[bytes]
    erased: set[bytes]
    logbook: list[Any]

    @classmethod
    def of(cls, ledger: Ledger) -> "Inventory":
        keys = ledger.calls.keys
        hashes = ("records", "payloads", "histories", "besides", "revisions", "originals", "refused", "routes")
        hashes += ("counters", "lane", "rejected", "replay_live", "replay_past")
        zsets = (*_ZSETS, "unconfirmed", "perishable", "fading", "silent", "rejected_order", "rejected_spare")
        zsets += ("replay_selected", "replay_sent", "receipts")
        pipeline = ledger.client.pipeline(transaction=False)
        for name in hashes:
            pipeline.hgetall(getattr(keys, name))
        for name in zsets:
            pipeline.zrange(getattr(keys, name), 0, -1, withscores=True)
        pipeline.lrange(keys.delivered, 0, -1)
        pipeline.smembers(keys.erased)
        pipeline.xrange(keys.logbook)
        found: list[Any] = pipeline.execute()
        rows = found[len(hashes) : len(hashes) + len(zsets)]
        by_name: dict[str, dict[bytes, bytes]] = dict(zip(hashes, found, strict=False))
        by_name["lane"] = {name: value for name, value in by_name["lane"].items() if not name.startswith(_NOTES)}
        return cls(
            hashes=by_name,
            zsets={name: [(member, score) for member, score in queue] for name, queue in zip(zsets, rows, strict=True)},
            delivered=found[-3],
            erased=set(found[-2]),
            logbook=found[-1],
        )

    def records(self) -> dict[str, Record]:
        return {call_id.decode(): Record.parse(text) for call_id, text in self.hashes["records"].items()}

    def places(self) -> dict[str, list[str]]:
        """Every place in which each call stands: a queue, a state's set, or the list of the delivered."""
        found: dict[str, list[str]] = {call_id: [] for call_id in self.records()}
        for place in _ZSETS:
            for member, _ in self.zsets[place]:
                found.setdefault(member.decode(), []).append(place)
        for member in self.delivered:
            found.setdefault(member.decode(), []).append("delivered")
        for member, _ in self.zsets["unconfirmed"]:
            found.setdefault(member.decode(), []).append("unconfirmed")
        return found

    def check(self, *, lost: Collection[str] = (), now_ms: int | None = None) -> None:
        """Each known call is in the one place of its state, with a payload as long as it may be needed.

        `lost` are calls whose payload a test took away; with `now_ms` the dead letters' audio links are looked at too.
        """
        records = self.records()
        for call_id, places in self.places().items():
            assert call_id in records, f"{call_id} stands in {places} and nobody knows it"
            record = records[call_id]
            expected = record.priority if record.state == "ready" else record.state.value
            if places == ["unconfirmed"]:
                assert record.state == "delivered", f"{call_id} is {record.state}, and unconfirmed"
                expected = "unconfirmed"
            assert places == [expected], f"{call_id} is {record.state} and stands in {places}"
            needs_payload = expected != "delivered" and call_id not in lost
            has_payload = call_id.encode() in self.hashes["payloads"]
            assert has_payload == needs_payload, f"{call_id} is {record.state}, payload kept: {has_payload}"
            assert (record.token > 0) == (record.state == "uploading"), f"{call_id}: {record}"
        for name in map(bytes.decode, self.hashes["refused"]):
            assert records[name].state in {"ready", "uploading", "waiting"}, f"{name} is no longer refused"
        for name in ("payloads", "histories", "besides", "revisions", "originals"):
            strangers = {call_id.decode() for call_id in self.hashes[name]} - set(records)
            assert not strangers, f"{name} keeps what no record knows: {strangers}"
        for name in map(bytes.decode, self.hashes["originals"]):
            assert name in lost or name.encode() in self.hashes["payloads"], f"the original of {name} was forgotten"
        for member, _ in self.zsets["perishable"]:
            assert records[member.decode()].state == "ready", f"{member.decode()} perishes on no queue"
        for member, _ in self.zsets["replay_selected"]:
            assert records[member.decode()].state == "dead", f"a job is to send {member.decode()}, which is not dead"
        for member, _ in self.zsets["replay_sent"]:
            state = records[member.decode()].state
            assert state in {"ready", "uploading", "waiting"}, f"a job waits for {member.decode()}, which is {state}"
        fading = {member.decode(): score for member, score in self.zsets["fading"]}
        for call_id, ends in fading.items():
            assert records[call_id].state == "dead", f"{call_id} fades and is {records[call_id].state}"
            assert records[call_id].expires_ms == ends
        for member, ends in self.zsets["silent"]:
            silent = records[member.decode()]
            assert silent.state in {"ready", "uploading", "waiting", "dead"}, f"{member.decode()} is {silent.state}"
            assert silent.expires_ms == ends
        dead = {call_id: record for call_id, record in records.items() if record.state == "dead"}
        for call_id, record in dead.items():
            is_over = now_ms is None or record.expires_ms <= now_ms
            assert call_id in fading or is_over, f"nobody will hear that {call_id} fades"
        for name in map(bytes.decode, self.hashes["besides"]):
            assert records[name].state == "uploading", f"the report beside {name} was forgotten"

    def mentions(self, text: str) -> list[str]:
        """The keys under which `text` still stands somewhere. The logbook is none of them: what was done was done."""
        wanted = text.encode()
        found = [
            name
            for name, fields in self.hashes.items()
            if any(wanted in key or wanted in value for key, value in fields.items())
        ]
        found += [name for name, rows in self.zsets.items() if any(wanted in member for member, _ in rows)]
        found += ["delivered"] if any(wanted in member for member in self.delivered) else []
        return found + (["erased"] if any(wanted in member for member in self.erased) else [])
