"""What the doctor says about what it finds."""

import errno
import http.server
import threading
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest

from roark_ledger.errors import LedgerRefuses
from roark_ledger.lifecycle import State
from roark_ledger.records.lane import Lane
from roark_ledger.records.moving import STALLED_MS, Moving
from roark_ledger.records.promises import Loss, Unread, UnreadFile
from roark_ledger.records.setup import Setup
from roark_ledger.records.snapshot import Memory, Snapshot
from roark_ledger.server.durability import Server
from roark_ops.doctor import here, pipeline, server
from roark_ops.doctor.check import Check, Level
from roark_ops.doctor.setup import base_urls, judge_shell
from roark_ops.todo import todos
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_worker.settings import WorkerSettings
from roark_worker.upkeep.setup_notes import mark_of, token_ends

GB = 1_000_000_000


def redis(
    version: tuple[int, ...] = (7, 2), *, aof: bool = True, fsync: str = "always", eviction: str | None = "noeviction"
) -> Server:
    return Server("Redis 7.2.0", version, aof, fsync, eviction, 0)


def snapshot(*, ready: int = 0, ready_seconds: int = 0, accepted: int = 0, lane: Lane | None = None) -> Snapshot:
    states = dict.fromkeys(State, 0) | {State.READY: ready}
    counters = {"accepted": accepted}
    lane = lane or Lane("open", "", "", 0, 0, 0)
    oldest = 1_000_000 - ready_seconds * 1000 if ready else 0
    return Snapshot(1_000_000, {}, states, counters, lane, Memory(0, 0, 0.0, False), oldest, 0, 0, 0, 0, 0)


def worker(**values: object) -> WorkerSettings:
    return WorkerSettings(_env_file=None, **values)


@pytest.mark.parametrize(
    ("check", "level"),
    [
        (server.judge_version(redis()), Level.OK),
        (server.judge_version(redis((6, 2))), Level.FAIL),
        (server.judge_durability("fsync", redis()), Level.OK),
        (server.judge_durability("fsync", redis(aof=False)), Level.FAIL),
        (server.judge_durability("fsync", redis((7, 0), fsync="everysec")), Level.FAIL),
        (server.judge_durability("fsync", replace(redis(), rests_in_rewrites=True)), Level.WARN),
        (server.judge_durability("memory", replace(redis(), rests_in_rewrites=True)), Level.OK),
        (server.judge_durability("replicated:1", redis()), Level.FAIL),
        (server.judge_durability("memory", redis(aof=False)), Level.OK),
        (server.judge_eviction(redis()), Level.OK),
        (server.judge_eviction(redis(eviction=None)), Level.WARN),
        (server.judge_eviction(redis(eviction="allkeys-lru")), Level.FAIL),
        (server.judge_memory(1 * GB, 4 * GB, 16 * GB), Level.OK),
        (server.judge_memory(3 * GB, 4 * GB, 16 * GB), Level.WARN),
        (server.judge_memory(35 * GB // 10, 4 * GB, 16 * GB), Level.FAIL),
        (server.judge_memory(1 * GB, 0, 16 * GB), Level.OK),
        (server.judge_memory(14 * GB, 0, 16 * GB), Level.WARN),
        (server.judge_memory(1 * GB, 0, 0), Level.OK),
        (server.judge_clock(0.4), Level.OK),
        (server.judge_clock(-70), Level.WARN),
        (pipeline.judge_workers(["roark-1@host"], snapshot(ready=5, ready_seconds=600)), Level.OK),
        (pipeline.judge_workers([], snapshot()), Level.WARN),
        (pipeline.judge_workers([], snapshot(ready=5, ready_seconds=600)), Level.FAIL),
        (pipeline.judge_lane(snapshot()), Level.OK),
        (pipeline.judge_lane(snapshot(lane=Lane("held", "maintenance", "ada", 1, 0, 0))), Level.FAIL),
        (pipeline.judge_lane(snapshot(lane=Lane("held", "http_401 x", "roark", 1, 9, 0))), Level.FAIL),
        (pipeline.judge_lane(snapshot(lane=Lane("breaker-open", "9 of 9 failed", "", 1, 9, 0))), Level.FAIL),
        (pipeline.judge_lane(snapshot(lane=Lane("half-open", "", "", 1, 9, 0))), Level.FAIL),
        (pipeline.judge_lane(snapshot(lane=Lane("throttled", "", "", 1, 9, 0))), Level.WARN),
        (pipeline.judge_accounts(snapshot(ready=2, accepted=2)), Level.OK),
        (pipeline.judge_accounts(snapshot(ready=1, accepted=2)), Level.FAIL),
        (here.check_token(worker(roark_api_bearer_token="secret-1")), Level.OK),
        (here.check_token(worker(roark_api_bearer_token=None)), Level.FAIL),
        (here.check_webhook(WebhookSettings(_env_file=None)), Level.OK),
        (
            here.check_webhook(WebhookSettings(_env_file=None, vapi_secret="secret-1-is-long")),
            Level.OK,
        ),
        (here.check_webhook(WebhookSettings(_env_file=None, vapi_secret="Ab3,x")), Level.WARN),
        (here.check_webhook(WebhookSettings(_env_file=None, webhook_host="0.0.0.0")), Level.FAIL),
    ],
)
def test_each_finding_has_its_level_and_what_is_not_in_order_a_line_that_mends_it(check: Check, level: Level) -> None:
    assert check.level is level
    assert check.found
    assert bool(check.mend) == (level is not Level.OK)
    assert "secret-" not in repr(check)


def test_a_durability_that_cannot_be_kept_says_the_line_that_mends_it() -> None:
    check = server.judge_durability("fsync", redis(aof=False))
    assert check.mend.startswith("CONFIG SET appendonly yes")


def test_a_data_dir_that_can_be_made_is_good_and_one_below_a_file_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert here.check_data_dir(tmp_path).level is Level.OK
    assert here.check_data_dir(tmp_path / "new" / "deeper").level is Level.OK
    assert here.check_data_dir(tmp_path / "file" / "below").level is Level.FAIL


def test_a_disk_is_tried_and_not_only_asked_for_its_rights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    check = here.check_data_dir(tmp_path)

    assert check.level is Level.FAIL
    assert "No space left on device" in check.found
    assert "Free some disk space" in check.mend
    assert list(tmp_path.iterdir()) == [], "what was tried leaves nothing behind"


def test_a_disk_with_little_room_is_warned_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000_000))
    assert here.check_data_dir(tmp_path).level is Level.WARN


@pytest.mark.parametrize("code", ["MISCONF", "NOPERM", "READONLY", "OOM", "BUSY", "NOREPLICAS", "ERR"])
def test_a_redis_that_answers_and_takes_nothing_is_told_by_its_own_word(code: str) -> None:
    check = server.judge_refusal(LedgerRefuses(f"Redis refuses commands: {code} why", code))

    assert check.level is Level.FAIL
    assert f"{code} why" in check.found
    assert check.mend


def test_what_was_promised_and_is_missing_is_no_balance() -> None:
    lost = replace(snapshot(), losses=(Loss("id", 3, 3, 2, 1, 1, went_back=False),))
    unread = replace(snapshot(), unread=(Unread("host:/spool", (UnreadFile("a.damaged", "it is damaged", 2),)),))

    assert "3 reports" in pipeline.judge_accounts(lost).found
    assert "a.damaged" in pipeline.judge_accounts(unread).found
    assert {pipeline.judge_accounts(one).level for one in (lost, unread)} == {Level.FAIL}


class Answers(http.server.BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]]

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers.get("authorization")))
        self.send_response(int(self.server.status))  # type: ignore[attr-defined] # set below
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def roark() -> Iterator[http.server.HTTPServer]:
    Answers.seen = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "level"), [(200, Level.OK), (404, Level.OK), (401, Level.OK), (503, Level.WARN)])
def test_roark_is_asked_for_its_health_without_the_token(
    roark: http.server.HTTPServer, status: int, level: Level
) -> None:
    roark.status = status  # type: ignore[attr-defined] # what Answers says
    settings = worker(roark_base_url=f"http://127.0.0.1:{roark.server_port}", roark_api_bearer_token="secret-1")
    check = here.check_reach(settings)
    assert check.level is level
    assert str(status) in check.found
    assert Answers.seen == [("/health", None)]


def test_a_roark_that_cannot_be_reached_is_a_warning_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    check = here.check_reach(worker(roark_base_url="http://127.0.0.1:9"))
    assert check.level is Level.WARN
    assert "refused" in check.found


@pytest.mark.parametrize("status", [301, 308, 400, 407, 421])
@pytest.mark.parametrize(("of_workers", "level"), [(True, Level.FAIL), (False, Level.WARN)])
def test_what_answers_as_roark_does_not_keeps_reports_from_it(
    roark: http.server.HTTPServer, status: int, of_workers: bool, level: Level
) -> None:
    roark.status = status  # type: ignore[attr-defined] # what Answers says
    settings = worker(roark_base_url=f"http://127.0.0.1:{roark.server_port}")
    check = here.check_reach(settings, of_workers=of_workers)
    assert check.level is level
    assert f"answers {status} to a simple request, which Roark never does" in check.found


def test_an_address_of_the_workers_that_cannot_be_reached_keeps_reports_from_roark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    assert here.check_reach(worker(roark_base_url="http://127.0.0.1:9"), of_workers=True).level is Level.FAIL


class TestThisShellBesideTheWorkers:
    def setup(self, token: str = "token-of-workers", **settings: str) -> Setup:
        return Setup(0, 0, 0, version("roark-ingest"), mark_of(token), settings, token_ends=token_ends(token))

    def shell(self, crew: dict[str, Setup], **values: object) -> Check:
        return judge_shell(crew, worker(**values), IngestSettings(_env_file=None))

    def test_that_is_set_up_alike_is_well(self) -> None:
        crew = {"w-1": self.setup(), "w-2": self.setup()}
        assert self.shell(crew, roark_api_bearer_token="token-of-workers").level is Level.OK

    def test_names_each_difference_plainly_and_never_the_token(self) -> None:
        crew = {"w-1": self.setup(ROARK_BASE_URL="https://other.example")}
        check = self.shell(crew, roark_api_bearer_token="token-of-shell", roark_base_url="http://127.0.0.1:4010")
        assert check.level is Level.WARN
        assert "ROARK_BASE_URL: https://other.example on the workers, http://127.0.0.1:4010 here" in check.found
        assert "token: mark " in check.found
        assert "token-of" not in check.found
        assert "…kers on the workers" in check.found
        assert "token: mark" in check.found
        assert "none here" in self.shell(crew).found

    def test_says_where_the_workers_differ_among_themselves(self) -> None:
        crew = {"w-1": self.setup(), "w-2": self.setup(ROARK_BASE_URL="https://other.example")}
        assert "ROARK_BASE_URL: workers differ from each other" in self.shell(crew).found
        assert base_urls(crew) == ["https://api.roark.ai", "https://other.example"]


def test_while_a_partition_is_away_it_is_named_and_the_accounts_are_not_judged() -> None:
    one = replace(snapshot(ready=1, accepted=2), partitions=16, away=(3,))
    several = replace(one, away=(3, 5))

    assert pipeline.judge_accounts(one).level is Level.WARN
    assert pipeline.judge_accounts(one).found == "cannot be told while partition 3 of 16 is away"
    assert one.accounts.holds
    assert pipeline.judge_partitions(one).level is Level.FAIL
    assert pipeline.judge_partitions(several).found.startswith("partitions 3, 5 of 16 are away: ")
    assert pipeline.judge_partitions(replace(one, away=())).found == "all 16 answer"
    assert [todo.what for todo in todos(several)] == [
        "These figures lack some reports: partitions 3, 5 of 16 are away."
    ]


def test_a_split_is_a_fact_while_it_runs_and_a_warning_when_nobody_goes_on_with_it() -> None:
    now_ms = 1_000_000
    running = replace(snapshot(), partitions=16, moving=Moving(16, 70, now_ms - STALLED_MS + 1))
    stalled = replace(running, moving=Moving(16, 1, now_ms - STALLED_MS))

    fact = pipeline.judge_split(running.moving, now_ms)
    assert (fact.level, fact.found) == (Level.OK, "under way: 70 calls still to be moved into 16 partitions")
    assert todos(running) == []
    judged = pipeline.judge_split(stalled.moving, now_ms)
    assert (judged.level, judged.mend) == (Level.WARN, "Go on with it: roark-ingest partition 16")
    assert [todo.command for todo in todos(stalled)] == ["roark-ingest partition 16"]
    assert "1 call still to be moved into 16 partitions" in todos(stalled)[0].what
