"""`roark-ingest audit`, `rejected`, and what `status` says of audit and spool."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import CommandLine, report
from servers import Server

from roark_ledger.moves import watch
from roark_ledger.records.alerts import AlertKind
from roark_producer.disk.frames import Spooled
from roark_producer.disk.spool import Spool
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_worker.alerts.causes import AlertRules, causes
from roark_worker.upkeep.auditing import Auditor


@pytest.fixture
def line(valkey: Server, prefix: str, tmp_path: Path) -> Iterator[CommandLine]:
    line = CommandLine(valkey.url, prefix, tmp_path)
    yield line
    line.ledger.close()


def lose(line: CommandLine, call_id: str) -> None:
    """Take a call out of its place, as no step of ours does."""
    assert line.ledger.client.zrem(line.ledger.calls.keys.fresh, call_id) == 1


class TestAudit:
    def test_it_prints_the_equation_with_its_numbers(self, line: CommandLine) -> None:
        line.accept("call-1", "call-2")
        line.deliver("call-1")

        ended = line.run("audit")

        assert ended.exit_code == 0
        first, *rest = ended.stdout.splitlines()
        assert first.startswith("2 accepted = 1 ready + 0 uploading + 0 waiting + 1 delivered + 0 dead")
        assert rest[-1] == "Every report is accounted for, in exactly one place."

    def test_it_names_what_breaks_it_and_how_to_mend_it(self, line: CommandLine) -> None:
        line.accept("call-1", "call-2")
        lose(line, "call-2")

        ended = line.run("audit")
        assert ended.exit_code == 3
        assert "2 accepted ≠ 1 ready" in ended.stdout
        assert "call call-2 is ready: nowhere" in ended.stdout
        assert ended.stdout.splitlines()[-1] == "Next: roark-ingest audit --repair"

        document = line.run("audit", "--json").document
        assert (document["holds"], document["difference"]) == (False, 1)
        assert document["broken"] == [{"call_id": "call-2", "state": "ready", "faults": ["nowhere"]}]

    def test_it_mends_what_needs_no_guess(self, line: CommandLine) -> None:
        line.accept("call-1")
        lose(line, "call-1")

        ended = line.run("audit", "--repair")

        assert ended.exit_code == 0
        assert "1 call repaired." in ended.stdout
        line.deliver("call-1")
        assert line.run("audit", "--json").document["holds"]


class TestStatus:
    def test_it_shows_what_the_workers_audit_found(self, line: CommandLine) -> None:
        assert line.run("status", "--json").document["audit"] is None
        line.accept("call-1", "call-2", "call-3")
        lose(line, "call-1")
        line.accept("call-4")
        line.ledger.client.zadd(line.ledger.calls.keys.dead, {"call-2": 1})
        auditor = Auditor(line.ledger, every_seconds=600)
        assert auditor.once()
        assert auditor.once() is None, "the next one comes later"

        ended = line.run("status", "--json")
        found = ended.document["audit"]
        assert (found["holds"], found["difference"], found["broken"]) == (False, 0, 2)
        assert ended.exit_code == 3
        assert "roark-ingest audit" in {todo["command"] for todo in ended.document["todo"]}
        assert "2 calls are in no queue, or in more than one." in line.run("status").stdout

    def test_what_an_audit_by_hand_found_is_shown_at_once(self, line: CommandLine) -> None:
        line.accept("call-1")
        lose(line, "call-1")
        assert line.run("audit").exit_code == 3
        assert "1 call is in no queue, or in more than one." in line.run("status").stdout
        line.run("audit", "--repair")

        assert "Every report is accounted for. (last audit" in line.run("status").stdout

    def test_it_shows_what_waits_on_this_machines_disk(self, line: CommandLine) -> None:
        assert line.run("status", "--json").document["spool"] == {"reports": 0, "bytes": 0}
        spool = Spool(line.folder / "data" / "spool", most_bytes=10**9)
        spool.append([Spooled(b"{}"), Spooled(b"{}")])

        assert line.run("status", "--json").document["spool"] == {"reports": 2, "bytes": spool.size()}
        assert "2 reports on this machine's disk, not yet in Redis" in line.run("status").stdout


class TestRejected:
    @pytest.fixture
    def rejecting(self, line: CommandLine) -> CommandLine:
        """A bin of two: one that is no JSON, and one that is too large for small settings only."""
        url = line.environment["ROARK_INGEST_REDIS_URL"]
        prefix = line.environment["ROARK_INGEST_PREFIX"]
        settings = IngestSettings(_env_file=None, redis_url=url, prefix=prefix, max_report_bytes=1000)
        producer = Producer(line.ledger, settings, lambda: None)
        assert producer.submit(b"not \x1b[31m json").result == "rejected"
        assert producer.submit(report("call-1", more="x" * 1000)).result == "rejected"
        return line

    def entries(self, line: CommandLine) -> list[str]:
        return [one["entry"] for one in line.run("rejected", "list", "--json").documents]

    def test_an_empty_bin_says_so(self, line: CommandLine) -> None:
        assert line.run("rejected", "list").stdout == "0 entries in the rejected bin.\n"
        assert line.run("rejected", "list", "--json").documents == []

    def test_it_lists_what_came_when_and_why_it_could_not_be_used(self, rejecting: CommandLine) -> None:
        documents = rejecting.run("rejected", "list", "--json").documents
        assert [(one["field"], one["source"]) for one in documents] == [("body", "python")] * 2
        assert documents[1]["bytes"] > 1000
        shown = rejecting.run("rejected", "list").stdout
        assert "2 entries in the rejected bin." in shown
        assert "\x1b" not in shown

    def test_it_shows_what_came_byte_for_byte(self, rejecting: CommandLine) -> None:
        first, _ = self.entries(rejecting)

        assert rejecting.run("rejected", "show", first[:6]).stdout == "not \x1b[31m json"
        assert rejecting.run("rejected", "show", "zzz").exit_code == 1

    def test_what_can_be_used_now_is_accepted_and_leaves_the_bin(self, rejecting: CommandLine) -> None:
        broken, too_large = self.entries(rejecting)

        ended = rejecting.run("rejected", "retry", "--all", "--json")

        assert [(one["entry"], one["result"]) for one in ended.documents] == [
            (broken, "rejected"),
            (too_large, "accepted"),
        ]
        assert ended.exit_code == 1
        assert self.entries(rejecting) == [broken]
        assert rejecting.state("call-1") == "ready"
        assert rejecting.ledger.run(watch.snapshot()).total("rejected_retried") == 1

    def test_an_entry_that_is_not_there_is_told(self, rejecting: CommandLine) -> None:
        ended = rejecting.run("rejected", "retry", "zzz")

        assert ended.exit_code == 1
        assert "no entry zzz" in ended.stderr

    def test_what_a_person_gives_up_is_gone(self, rejecting: CommandLine) -> None:
        first, second = self.entries(rejecting)
        assert rejecting.run("rejected", "discard", first).exit_code == 2, "nobody can be asked here"

        assert rejecting.run("rejected", "discard", first, "--yes", "--json").document == {
            "discarded": 1,
            "unknown": [],
        }

        assert self.entries(rejecting) == [second]
        assert rejecting.ledger.run(watch.snapshot()).total("rejected_discarded") == 1

    def test_what_was_given_up_by_a_full_bin_is_counted(self, rejecting: CommandLine) -> None:
        url, prefix = (rejecting.environment[f"ROARK_INGEST_{name}"] for name in ("REDIS_URL", "PREFIX"))
        settings = IngestSettings(_env_file=None, redis_url=url, prefix=prefix, rejected_max=2)
        Producer(rejecting.ledger, settings, lambda: None).submit(b"another one")

        assert "1 older entries were dropped" in rejecting.run("rejected", "list").stdout

    @pytest.mark.parametrize("command", ["retry", "discard"])
    def test_it_wants_to_know_which(self, rejecting: CommandLine, command: str) -> None:
        assert rejecting.run("rejected", command).exit_code == 2


def lose_a_record(line: CommandLine) -> None:
    line.accept("call-1")
    line.deliver("call-1")
    line.ledger.client.hdel(line.ledger.calls.keys.records, "call-1")


def lose_a_place(line: CommandLine) -> None:
    line.accept("call-1")
    lose(line, "call-1")


def put_in_two_places(line: CommandLine) -> None:
    line.accept("call-1")
    line.ledger.client.zadd(line.ledger.calls.keys.dead, {"call-1": 1})


def lose_a_payload(line: CommandLine) -> None:
    line.accept("call-1")
    line.ledger.client.hdel(line.ledger.calls.keys.payloads, "call-1")


def lose_all_of_a_waiting_report(line: CommandLine) -> None:
    line.accept("call-1")
    line.defer("call-1")
    keys = line.ledger.calls.keys
    line.ledger.client.zrem(keys.waiting, "call-1")
    line.ledger.client.hdel(keys.records, "call-1")


def make_a_record(line: CommandLine) -> None:
    line.accept("call-1")
    line.deliver("call-1")
    keys = line.ledger.calls.keys
    record = line.ledger.client.hget(keys.records, "call-1")
    line.ledger.client.hset(keys.records, "call-2", record)


class TestTheyAllAgree:
    """Whatever the audit finds, everybody who is asked says so, and what to type next."""

    @pytest.mark.parametrize("by", ["worker", "hand"])
    @pytest.mark.parametrize(
        "break_it",
        [
            lose_a_record,
            lose_a_place,
            put_in_two_places,
            lose_a_payload,
            lose_all_of_a_waiting_report,
            make_a_record,
        ],
    )
    def test_that_the_accounts_do_not_hold(
        self, line: CommandLine, by: str, break_it: Callable[[CommandLine], None]
    ) -> None:
        break_it(line)
        if by == "worker":
            assert Auditor(line.ledger, every_seconds=600).once()
        else:
            assert line.run("audit").exit_code == 3

        status = line.run("status", "--json")
        assert status.exit_code == 3
        assert status.document["audit"]["holds"] is False
        assert any("accounted for" in todo["what"] and todo["command"] for todo in status.document["todo"])
        assert "0 calls" not in line.run("status").stdout
        checks = {check["name"]: check for check in line.run("doctor", "--json").document["checks"]}
        assert checks["accounts"]["level"] == "FAIL"
        assert checks["accounts"]["mend"]
        assert "roark_ingest_audit_holds 0.0" in line.run("metrics").stdout
        facts = line.ledger.run(watch.alert_facts(lately_ms=1, soon_ms=1))
        message = causes(line.snapshot(), facts, AlertRules(1, 1, 1, 1))[AlertKind.AUDIT_BROKEN]
        assert message.explanation == line.snapshot().accounts.in_words
        assert message.command
        audited = line.run("audit")
        assert audited.exit_code == 3
        assert "Next: roark-ingest " in audited.stdout
