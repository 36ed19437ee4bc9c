"""docker-compose.yml in a real engine: it builds, is healthy, delivers, and loses nothing when parts are killed.

`make docker-test` gets the engine and the images; without an engine these tests are skipped.
"""

import random
from collections.abc import Iterator

import httpx
import pytest
from chaos.chaos_load import Load, OverHttp, reports
from docs.console import commands
from stack import BUILD_SECONDS, ROOT, Stack, engine_answers

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1200)]

IMAGE = "roark-ingest:0.2.0"
PER_SECOND = 60
KILL_WHAT_INIT_RUNS = "import os; os.kill(int(open('/proc/1/task/1/children').read().split()[0]), 9)"
OURS = ("webhook", "worker", "flower", "console", "sandbox")
# What this project's own layers may weigh: its packages and their compiled byte code.
OWN_BYTES_AT_MOST = 120_000_000


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not engine_answers():
        pytest.skip("no Docker engine with the compose plugin answers: see `make docker-test`")
    with Stack(tmp_path_factory.mktemp("compose")) as stack:
        stack.up("--build")
        yield stack


@pytest.fixture
def sending(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Load]:
    """Reports that come steadily while the test does its worst, and the proof at its end."""
    before = set(stack.sandbox("/_sandbox/calls")["calls"])
    wanted = list(reports(random.Random(request.node.name), 600))
    post = OverHttp(stack.url("WEBHOOK_PORT", "/vapi"), **{"x-vapi-secret": stack.secrets["vapi_secret"]})
    load = Load(wanted, post, per_second=PER_SECOND)
    yield load
    stack.wait_until(lambda: load.is_over, "every report was answered with yes")
    load.stop()
    prove_all_arrived(stack, load, before)


def prove_all_arrived(stack: Stack, load: Load, before: set[str]) -> None:
    """Ids and bytes at the sandbox are those that were answered with yes, and the audit holds."""

    def settled() -> bool:
        states = stack.ingest("status")["states"]
        return not (states["ready"] + states["uploading"] + states["waiting"])

    stack.wait_until(settled, "nothing is on its way any more")
    calls = stack.sandbox("/_sandbox/calls")["calls"]
    arrived = {call_id: set(call["sha256"]) for call_id, call in calls.items() if call["imported"]}
    assert arrived.keys() - before == load.answered.keys()
    assert all(arrived[call_id] == {sha256} for call_id, sha256 in load.answered.items())
    audit = stack.ingest("audit")
    assert audit["holds"], audit
    assert all(calls[call_id]["imported"] == 1 for call_id in load.answered)
    again = sum(calls[call_id]["skipped"] for call_id in load.answered)
    new = len(arrived.keys() - before)
    print(f"\n{len(load.answered)} answered with yes are the {new} new ones at the sandbox, bytes equal, none imported")
    print(f"twice ({again} uploaded again and skipped); the audit holds over {audit['accepted']} accepted")


def test_the_image_is_small_and_not_run_by_root(stack: Stack) -> None:
    base, ours = (
        int(stack.run("docker", "image", "inspect", "-f", "{{.Size}}", name)) for name in ("python:3.11-slim", IMAGE)
    )
    print(f"image {ours / 1e6:.0f} MB: base {base / 1e6:.0f} MB, ours {(ours - base) / 1e6:.0f} MB")

    assert ours - base < OWN_BYTES_AT_MOST
    assert stack.run("docker", "image", "inspect", "-f", "{{.Config.User}}", IMAGE).strip() == "10001:10001"


@pytest.mark.parametrize("service", ["redis", *OURS])
def test_every_part_runs_without_rights_and_within_limits(stack: Stack, service: str) -> None:
    (container,) = stack.containers(service)

    assert container["State"]["Running"]
    assert container["HostConfig"]["ReadonlyRootfs"]
    assert container["HostConfig"]["Memory"] > 0
    assert container["HostConfig"]["PidsLimit"] > 0
    assert container["HostConfig"]["RestartPolicy"]["Name"] == "unless-stopped"
    user, groups = stack.compose("exec", "-T", service, "sh", "-c", "id -u; id -G").split("\n", 1)
    assert int(user) > 0
    assert "0" not in groups.split()
    status = stack.compose("exec", "-T", service, "sh", "-c", "cat /proc/1/status")
    assert "CapEff:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status


def test_no_secret_is_in_an_image_an_environment_or_a_log(stack: Stack) -> None:
    seen = stack.run("docker", "history", "--no-trunc", IMAGE) + stack.compose("logs", "--no-color")
    for service in OURS:
        seen += str(stack.containers(service))

    for name, secret in stack.secrets.items():
        assert secret
        assert secret not in seen, f"{name} can be seen"


def test_reports_posted_with_the_secret_reach_the_sandbox(stack: Stack, sending: Load) -> None:
    # given reports that come steadily; then they are proven to be there
    assert sending


def test_a_stranger_is_turned_away(stack: Stack) -> None:
    assert httpx.post(stack.url("WEBHOOK_PORT", "/vapi"), content=b"{}").status_code == 401


def test_flower_asks_for_the_password_in_the_secret(stack: Stack) -> None:
    user, _, password = stack.secrets["flower_basic_auth"].partition(":")
    workers = stack.url("FLOWER_PORT", "/workers")

    assert httpx.get(workers).status_code == 401
    assert httpx.get(workers, auth=(user, password)).status_code == 200


def test_killing_the_worker_loses_nothing(stack: Stack, sending: Load) -> None:
    # given a worker with uploads in its hands
    stack.sandbox("/_sandbox/faults", method="PUT", body='{"latency_ms": 400}')
    stack.wait_until(lambda: stack.ingest("status")["states"]["uploading"] >= 5, "uploads are under way")

    # when it is killed, and started again some reports later
    stack.compose("kill", "-s", "KILL", "worker")
    (dead,) = stack.containers("worker")
    assert not dead["State"]["Running"]
    accepted = len(sending.answered)
    stack.wait_until(lambda: len(sending.answered) > accepted + 30, "reports go on being taken in")
    stack.up("worker")

    # then nothing is lost
    stack.sandbox("/_sandbox/faults", method="PUT", body='{"latency_ms": 50}')


def test_killing_redis_loses_nothing(stack: Stack, sending: Load) -> None:
    stack.wait_until(lambda: len(sending.answered) > 100, "reports are coming")

    stack.compose("kill", "-s", "KILL", "redis")
    accepted = len(sending.answered)
    stack.wait_until(lambda: len(sending.answered) > accepted + 30, "the webhook takes them in on its own disk")
    stack.up("redis")


def test_killing_both_at_once_loses_nothing(stack: Stack, sending: Load) -> None:
    stack.wait_until(lambda: len(sending.answered) > 100, "reports are coming")

    stack.compose("kill", "-s", "KILL", "redis", "worker")
    accepted = len(sending.answered)
    stack.wait_until(lambda: len(sending.answered) > accepted + 30, "the webhook takes them in on its own disk")
    stack.up("redis", "worker")


@pytest.mark.parametrize("service", ["webhook", "worker"])
def test_what_dies_by_itself_is_started_again(stack: Stack, sending: Load, service: str) -> None:
    (before,) = stack.containers(service)

    # when the process below the container's init dies
    stack.compose("exec", "-T", service, "python", "-c", KILL_WHAT_INIT_RUNS, check=False)

    # then the engine starts the container again
    stack.wait_until(
        lambda: stack.containers(service)[0]["RestartCount"] == before["RestartCount"] + 1,
        f"{service} was started again",
    )
    stack.up(service)


def test_a_worker_that_is_stopped_drains(stack: Stack, sending: Load) -> None:
    # given uploads under way
    stack.sandbox("/_sandbox/faults", method="PUT", body='{"latency_ms": 400}')
    stack.wait_until(lambda: stack.ingest("status")["states"]["uploading"] >= 5, "uploads are under way")

    # when the worker is asked to stop
    stack.compose("stop", "worker")

    # then it has ended by itself, with nothing left in its hands
    (worker,) = stack.containers("worker")
    assert worker["State"]["ExitCode"] == 0, worker["State"]
    assert stack.ingest("status")["states"]["uploading"] == 0
    stack.up("worker")
    stack.sandbox("/_sandbox/faults", method="PUT", body='{"latency_ms": 50}')


def test_what_was_taken_in_outlives_its_containers(stack: Stack) -> None:
    before = stack.ingest("status")

    stack.compose("down")
    stack.up()

    after = stack.ingest("status")
    assert after["states"] == before["states"]
    assert after["totals"]["accepted"] == before["totals"]["accepted"]
    assert stack.ingest("audit")["holds"]


def page_lines(name: str) -> list[str]:
    """The lines of a page that it leaves to these tests."""
    found = commands(ROOT / "ops" / "docs" / name)
    lines = [one.line for one in found if "`make docker-test`" in one.tried and "systemd" not in one.tried]
    assert lines
    assert not any("sudo" in line for line in lines), "this would change the machine that the tests run on"
    return lines


def follow(stack: Stack, lines: list[str]) -> None:
    for line in lines:
        stack.run("sh", "-c", line, seconds=BUILD_SECONDS)


def test_a_new_version_is_rolled_out_under_load_as_the_page_says(stack: Stack, sending: Load) -> None:
    # given a new version
    (before,), (worker,) = stack.containers("webhook"), stack.containers("worker")
    with (stack.folder / "README.md").open("a") as readme:
        readme.write("\nA new version.\n")

    # when the page's lines for workers, webhook and Redis are followed
    follow(stack, page_lines("upgrade.md"))

    # then both run the new one
    assert stack.containers("webhook")[0]["Image"] != before["Image"]
    assert stack.containers("worker")[0]["Image"] != worker["Image"]


def test_a_backup_brings_everything_back_as_the_page_says(stack: Stack) -> None:
    # given a ledger that is lost after its backup was taken
    before = stack.ingest("status")
    lines = page_lines("backup.md")
    restore = lines.index("docker compose stop webhook worker redis") + 1
    follow(stack, lines[:restore])
    stack.compose("rm", "-f", "redis")
    stack.run("docker", "volume", "rm", f"{stack.environment['COMPOSE_PROJECT_NAME']}_redis-data")

    # when the page's lines are followed
    follow(stack, lines[restore:])

    # then everything is as it was
    after = stack.ingest("status")
    assert (after["states"], after["totals"]["accepted"]) == (before["states"], before["totals"]["accepted"])
    assert before["totals"]["accepted"] > 0
    assert stack.ingest("audit")["holds"]


def test_the_page_about_installing_says_what_works(stack: Stack) -> None:
    follow(stack, page_lines("install.md"))

    stack.up()
    assert stack.ingest("audit")["holds"]


def test_prometheus_scrapes_every_worker_and_knows_the_rules(stack: Stack) -> None:
    # given two workers, and Prometheus beside them (Grafana has no image here that could be tried)
    stack.up("--scale", "worker=2", "worker", "webhook", "prometheus")
    api = stack.url("PROMETHEUS_PORT", "/api/v1")

    def all_up() -> bool:
        targets = httpx.get(f"{api}/targets").json()["data"]["activeTargets"]
        jobs = sorted(target["labels"]["job"] for target in targets if target["health"] == "up")
        return jobs == ["roark-webhook", "roark-worker", "roark-worker"]

    # then it has every target, what they tell, and the alerts
    stack.wait_until(all_up, "both workers and the webhook are scraped")
    delivered = httpx.get(f"{api}/query", params={"query": 'max(roark_ingest_reports{state="delivered"})'}).json()
    assert float(delivered["data"]["result"][0]["value"][1]) == stack.ingest("status")["states"]["delivered"]
    assert httpx.get(f"{api}/rules").json()["data"]["groups"]
