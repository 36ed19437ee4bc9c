"""An operator's shift, typed into a terminal: 30 000 reports and three faults, found, explained, mended and sent again.

Everything that is done is a command that `roark-ingest` or its help names. Long: `make shift` runs it.
"""

import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import TOKEN, Pipeline, Sandbox, wait_until
from terminal import Terminal

from roark_ledger.lifecycle import State
from roark_samples import sample_reports

pytestmark = [pytest.mark.acceptance, pytest.mark.shift, pytest.mark.timeout(1500)]

REPORTS = 30_000
ODD_ASSISTANT = "a154d64b-b3da-4577-ae72-3f71621fdfb8"
GOOD_ASSISTANT = "ffafadd6-2351-4462-bf6f-041c8078b101"
LIVE_PER_SECOND = 20


@pytest.fixture
def line() -> Iterator[Pipeline]:
    with Pipeline() as line:
        yield line


class LiveCalls:
    """Calls that end while the operator works, so many a second."""

    def __init__(self, line: Pipeline) -> None:
        self._line = line
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.call_ids: list[str] = []

    def __enter__(self) -> "LiveCalls":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        samples = sample_reports(10**6, seed=99, odd=0, dup=0)
        started = time.monotonic()
        for number, sample in enumerate(samples):
            if self._stop.wait(max(0.0, started + number / LIVE_PER_SECOND - time.monotonic())):
                return
            body = sample.body(wrap=True).replace(ODD_ASSISTANT.encode(), GOOD_ASSISTANT.encode())
            self.call_ids.append(self._line.producer.submit(body).call_id)

    def delays_ms(self) -> list[int]:
        """From accept to delivered, in order of size."""
        records = [self._line.look(call_id).record for call_id in self.call_ids]
        return sorted(record.since_ms - record.accepted_ms for record in records if record)


def test_an_operators_shift(line: Pipeline, tmp_path: Path) -> None:
    token = tmp_path / "roark-token"
    token.write_text("a-token-that-ended-at-midnight", encoding="utf-8")
    roark = line.start_sandbox("--latency-ms", "30", "--token", TOKEN, "--refuse", f"call.assistantId={ODD_ASSISTANT}")
    line.start_supervisor(2, ROARK_API_BEARER_TOKEN="", ROARK_API_BEARER_TOKEN_FILE=str(token))
    bin_folder = Path(__file__).resolve().parents[2] / ".venv" / "bin"
    environment = {
        **line.environment,
        "PATH": f"{bin_folder}:{line.environment['PATH']}",
        "ROARK_API_BEARER_TOKEN": "",
        "ROARK_API_BEARER_TOKEN_FILE": str(token),
        "HOME": str(tmp_path),
        "USER": "olga",
    }
    with Terminal(tmp_path, environment) as terminal:
        _the_night_comes_in(terminal)
        _the_token_has_ended(terminal, line, token)
        _roark_is_away(terminal, line, roark)
        group, dead = _one_assistant_is_refused(terminal, line)
        with LiveCalls(line) as live:
            _mended_and_sent_again(terminal, line, group, dead)
        line.wait_until_settled(120)
        code, said = terminal.enter("roark-ingest audit", seconds=300)
        assert code == 0, said

        delays = live.delays_ms()
        print(terminal.transcript.read_text(encoding="utf-8"))
        print(
            f"live calls during the replay: {len(delays)}, from accept to delivered "
            f"p50 {delays[len(delays) // 2]} ms, p99 {delays[len(delays) * 99 // 100]} ms"
        )
    snapshot = line.snapshot()
    assert snapshot.states[State.DELIVERED] == REPORTS + len(delays)
    assert snapshot.balanced
    calls = roark.calls()
    assert len(calls) == REPORTS + len(delays)
    assert {call["imported"] for call in calls.values()} == {1}
    assert delays[len(delays) * 99 // 100] < 5_000, "live calls kept their delay while the replay went on"


def _the_night_comes_in(terminal: Terminal) -> None:
    command = f"roark-ingest sample --count {REPORTS} --odd 0 --dup 0 | roark-ingest enqueue - | tail -n 3"
    code, said = terminal.enter(command, seconds=600)
    assert code == 0, said


def _the_token_has_ended(terminal: Terminal, line: Pipeline, token: Path) -> None:
    wait_until(lambda: line.snapshot().lane.state == "held", "the lane is held")
    code, said = terminal.enter("roark-ingest status")
    assert code == 3, "there is something to act on"
    assert "http_401" in said or "401" in said
    assert "token" in said.lower(), "it says whose side it is on"
    assert line.count(State.DEAD) == 0, "no report dies of our token"

    terminal.enter(f"echo {TOKEN} > {token.name}")

    wait_until(lambda: line.snapshot().lane.state == "open", "the lane opens by itself")


def _roark_is_away(terminal: Terminal, line: Pipeline, roark: Sandbox) -> None:
    line.wait_for(State.DELIVERED, 2_000, 120)
    roark.behave(scenario="outage:10s")
    wait_until(lambda: line.snapshot().lane.state in {"breaker-open", "half-open"}, "the breaker opens")
    code, said = terminal.enter("roark-ingest status")
    assert code == 3
    assert "breaker" in said.lower()
    assert "attempts" in said, "the evidence"
    line.wait_until_settled(300)


def _one_assistant_is_refused(terminal: Terminal, line: Pipeline) -> tuple[str, int]:
    dead = line.count(State.DEAD)
    assert dead > REPORTS / 10
    assert line.count(State.DELIVERED) == REPORTS - dead
    _, said = terminal.enter("roark-ingest status")
    assert "roark-ingest dlq groups" in said, "it names the next command"

    code, said = terminal.enter("roark-ingest dlq groups")
    assert code == 0, said
    assert "assistantId" in said, "the field that Roark refuses"
    assert ODD_ASSISTANT[:8] in said, "what they share"
    _, said = terminal.enter("roark-ingest dlq groups --json | jq -c '[.group // .name, .count]'")
    (found,) = (json.loads(text) for text in said.splitlines() if text.startswith("["))
    assert found[1] == dead

    code, said = terminal.enter("roark-ingest dlq list --json | head -n 1 | jq -r .call_id")
    call_id = said.strip().splitlines()[-1]
    code, said = terminal.enter(f"roark-ingest why {call_id}")
    assert code in {0, 3}, said
    assert "call.assistantId is not valid" in said
    return str(found[0]), dead


def _mended_and_sent_again(terminal: Terminal, line: Pipeline, group: str, dead: int) -> None:
    setting = f"--set call.assistantId={GOOD_ASSISTANT}"
    code, said = terminal.enter(f"roark-ingest dlq edit --group {group} {setting} --yes", seconds=300)
    assert code == 0, said

    code, said = terminal.enter(f"roark-ingest dlq replay --group {group} --dry-run", seconds=120)
    assert code == 0, said
    assert re.search(rf"\b{dead}\b", said.replace(",", "").replace("\u202f", "")), "the preview says how many"

    replay = f"roark-ingest dlq replay --group {group} --yes --rate 300/s --reason 'assistant id mended'"
    code, said = terminal.enter(f"{replay} --follow", seconds=600)
    assert code == 0, said

    code, said = terminal.enter("roark-ingest replay list")
    assert code == 0, said
    code, said = terminal.enter("roark-ingest log list")
    assert code == 0, said
    assert "assistant id mended" in said, "who, why and when"
    assert line.count(State.DEAD) == 0
