"""The made-up reports: repeatable, of a real report's shape and size, and wholly made up."""

import json
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from roark_samples import Sample, sample_reports
from roark_samples.command import sample

COMMAND = [sys.executable, "-m", "roark_samples"]


@pytest.fixture(scope="module")
def ordinary() -> list[Sample]:
    """Reports without oddities, duplicates or other messages."""
    return list(sample_reports(300, seed=11, odd=0, dup=0))


@pytest.fixture(scope="module")
def odd() -> dict[str, Sample]:
    """One report of each oddity, by its label."""
    return {each.label: each for each in sample_reports(60, seed=12, odd=1)}


@pytest.fixture(scope="module")
def mixed() -> list[Sample]:
    """A stream with plenty of everything."""
    return list(sample_reports(600, seed=13, odd=0.2, dup=0.3, mix=0.5))


def bodies(samples: list[Sample]) -> list[bytes]:
    return [each.body(wrap=True) for each in samples]


def content(each: Sample) -> dict[str, Any]:
    """The message as a receiver reads it."""
    message: dict[str, Any] = json.loads(each.body(wrap=False))
    return message


def connected(samples: list[Sample]) -> list[dict[str, Any]]:
    return [message for message in map(content, samples) if "startedAt" in message]


class TestRepeatability:
    def test_the_same_seed_gives_the_same_bytes(self) -> None:
        first = sample_reports(40, seed=7, odd=0.2, dup=0.2, mix=0.3)
        second = sample_reports(40, seed=7, odd=0.2, dup=0.2, mix=0.3)

        assert bodies(list(first)) == bodies(list(second))

    def test_another_process_gives_the_same_bytes_whatever_its_hash_seed(self) -> None:
        printed = subprocess.run(
            [*COMMAND, "--count", "20", "--seed", "7", "--mix", "0.3", "--wrap"],
            env=os.environ | {"PYTHONHASHSEED": "4711"},
            capture_output=True,
            check=True,
        ).stdout

        assert printed == b"".join(body + b"\n" for body in bodies(list(sample_reports(20, seed=7, mix=0.3))))

    def test_another_seed_gives_other_calls(self) -> None:
        first, second = ({each.call_id for each in sample_reports(20, seed=seed, odd=0)} for seed in (1, 2))

        assert not first & second

    def test_reports_are_made_only_as_they_are_asked_for(self) -> None:
        endless = sample_reports(10**12)

        assert next(endless).message["type"] == "end-of-call-report"


class TestShape:
    def test_ordinary_reports_have_the_size_of_real_ones(self, ordinary: list[Sample]) -> None:
        sizes = [len(body) for body in bodies(ordinary)]

        assert 30_000 < statistics.median(sizes) < 90_000
        assert max(sizes) > 200_000

    def test_every_call_has_its_own_id(self, ordinary: list[Sample]) -> None:
        assert len({each.call_id for each in ordinary}) == len(ordinary)

    def test_the_system_prompt_occurs_five_times(self, ordinary: list[Sample]) -> None:
        for message in connected(ordinary):
            prompt = message["assistant"]["model"]["messages"][0]["content"]

            assert json.dumps(message).count(json.dumps(prompt)) == 5

    def test_messages_and_transcript_occur_twice(self, ordinary: list[Sample]) -> None:
        for message in connected(ordinary):
            assert message["messages"] == message["artifact"]["messages"]
            assert message["transcript"] == message["artifact"]["transcript"] != ""

    def test_the_call_is_as_stale_as_in_real_reports(self, ordinary: list[Sample]) -> None:
        for each in ordinary:
            call = content(each)["call"]

            assert call["status"] == ("ringing" if call["type"] == "inboundPhoneCall" else "queued")
            assert call["cost"] == 0
            assert call["updatedAt"] == call["createdAt"]

    def test_a_call_that_never_connected_has_neither_times_nor_recordings(self, ordinary: list[Sample]) -> None:
        silent = [message for message in map(content, ordinary) if not message["transcript"]]

        assert silent
        for message in silent:
            assert not message.keys() & {"startedAt", "endedAt", "durationMs", "recordingUrl"}
            assert "recordingUrl" not in message["artifact"]


class TestNothingIsReal:
    def test_phone_numbers_lie_only_in_the_reserved_range(self, mixed: list[Sample], odd: dict[str, Sample]) -> None:
        everything = b"".join(bodies([*mixed, *odd.values()]))
        numbers = re.findall(rb'\+\d[\d -]{5,}|"number":"[^"]*"', everything)

        assert numbers
        assert all(re.fullmatch(rb'"number":"\+1555010\d{4}"', number) for number in numbers)

    def test_every_host_is_an_example(self, mixed: list[Sample], odd: dict[str, Sample]) -> None:
        everything = b"".join(bodies([*mixed, *odd.values()]))
        hosts = set(re.findall(rb'://([^/"]+)', everything))

        assert hosts
        assert all(re.fullmatch(rb"(.+\.)?example\.(com|net)", host) for host in hosts)


class TestStream:
    def test_shares_are_near_what_was_asked_for(self, mixed: list[Sample]) -> None:
        labels = Counter(each.label.split(":")[0] for each in mixed)
        seconds = Counter(each.label for each in mixed)
        calls = labels["odd"] + labels["normal"] + seconds["dup:final"]
        pairs = seconds["dup:redelivery"] + seconds["dup:final"]

        assert labels["other"] / (labels["other"] + calls) == pytest.approx(0.5, abs=0.05)
        assert labels["odd"] / calls == pytest.approx(0.2, abs=0.05)
        assert pairs / (calls - labels["odd"]) == pytest.approx(0.3, abs=0.05)
        assert seconds["dup:redelivery"] / pairs == pytest.approx(0.7, abs=0.1)

    def test_other_messages_come_on_top_of_the_count(self, mixed: list[Sample]) -> None:
        reports = [each for each in mixed if each.label != "other"]

        assert len(reports) in (600, 601)
        assert all(each.message["type"] == "end-of-call-report" for each in reports)

    def test_other_messages_are_of_every_type_but_reports(self) -> None:
        others = [each for each in sample_reports(40, mix=0.98) if each.label == "other"]
        types = {each.message["type"] for each in others}

        assert "end-of-call-report" not in types
        assert len(types) == 24

    def test_a_count_of_nothing_is_an_empty_stream(self) -> None:
        assert list(sample_reports(0, mix=0.9)) == []

    @pytest.mark.parametrize(
        ("arguments", "complaint"),
        [
            ({"count": -1}, "count must be 0 or more, not -1"),
            ({"count": 1, "odd": 1.5}, "odd must be from 0 to 1, not 1.5"),
            ({"count": 1, "dup": -0.1}, "dup must be from 0 to 1, not -0.1"),
            ({"count": 1, "mix": 1.0}, "mix must be from 0 to less than 1, not 1.0"),
        ],
    )
    def test_an_impossible_share_is_refused_before_the_first_report(
        self, arguments: dict[str, Any], complaint: str
    ) -> None:
        with pytest.raises(ValueError, match=re.escape(complaint)):
            sample_reports(**arguments)


class TestDuplicates:
    def test_a_redelivery_differs_only_in_its_timestamp_and_presigned_urls(self, mixed: list[Sample]) -> None:
        pairs = [(a, b) for a, b in pairwise(mixed) if b.label == "dup:redelivery"]

        assert pairs
        for first, second in pairs:
            assert first.call_id == second.call_id
            assert first.body(wrap=True) != second.body(wrap=True)
            assert without_what_is_fresh(first) == without_what_is_fresh(second)

    def test_a_redelivery_of_a_recorded_call_has_fresh_presigned_urls(self, mixed: list[Sample]) -> None:
        pairs = [(a, b) for a, b in pairwise(mixed) if b.label == "dup:redelivery"]
        recorded = [(a, b) for a, b in pairs if "presignedMonoUrl" in content(a)["artifact"]]

        assert recorded
        for first, second in recorded:
            for key in ("presignedMonoUrl", "presignedLogUrl", "presignedUrlsExpiresAt"):
                assert content(first)["artifact"][key] != content(second)["artifact"][key]

    def test_a_preliminary_report_comes_bare_ahead_of_the_full_one(self, mixed: list[Sample]) -> None:
        pairs = [(a, b) for a, b in pairwise(mixed) if a.label == "dup:preliminary"]

        assert pairs
        for bare, full in pairs:
            assert full.label == "dup:final"
            assert bare.call_id == full.call_id
            assert content(bare)["artifact"]["messages"] == []
            assert content(full)["artifact"]["messages"] != []


def without_what_is_fresh(each: Sample) -> dict[str, Any]:
    message = content(each)
    del message["timestamp"]
    kept = {key: value for key, value in message["artifact"].items() if not key.startswith("presigned")}
    return message | {"artifact": kept}


class TestOddities:
    def test_every_oddity_comes_up(self, odd: dict[str, Sample]) -> None:
        assert odd.keys() == {
            "odd:unicode",
            "odd:no-recording",
            "odd:unknown-fields",
            "odd:no-call-id",
            "odd:seed-shape",
        }

    def test_a_report_without_call_id_really_lacks_it(self, odd: dict[str, Sample]) -> None:
        each = odd["odd:no-call-id"]

        assert each.call_id is None
        assert "id" not in content(each)["call"]

    def test_a_report_without_recording_has_no_url_of_one(self, odd: dict[str, Sample]) -> None:
        body = odd["odd:no-recording"].body(wrap=False)

        assert re.search(rb'"(presigned\w*|\w*ecordingUrl|recording|logUrl)":', body) is None

    def test_unknown_fields_stand_at_three_depths(self, odd: dict[str, Sample]) -> None:
        message = content(odd["odd:unknown-fields"])

        assert message["futureField"] == {"nested": [1, 2.5, None, True, {"x": "y"}]}
        assert message["call"]["x-experimental"] == "v"
        assert len(message["artifact"]["sentimentTimeline"]) == 50

    def test_the_documented_example_is_small_and_has_a_call_id(self, odd: dict[str, Sample]) -> None:
        each = odd["odd:seed-shape"]

        assert each.call_id is not None
        assert len(each.body(wrap=True)) < 1500


class TestBody:
    def test_wrapped_it_is_what_vapi_posts(self) -> None:
        assert Sample({"type": "hang"}, "other").body(wrap=True) == b'{"message":{"type":"hang"}}'

    def test_text_is_utf8_and_only_lone_surrogates_are_escaped(self) -> None:
        each = Sample({"word": "né\u2028🙂\ud83d"}, "normal")

        assert each.body(wrap=False) == '{"word":"né\u2028🙂\\ud83d"}'.encode()

    @pytest.mark.parametrize("message", [{}, {"call": None}, {"call": "x"}, {"call": {"id": 7}}])
    def test_a_message_without_a_call_has_no_call_id(self, message: dict[str, object]) -> None:
        assert Sample(message, "other").call_id is None


class TestCommand:
    @pytest.fixture
    def app(self) -> typer.Typer:
        app = typer.Typer()
        app.command("sample")(sample)
        return app

    def test_every_line_is_json_and_lines_end_in_a_newline_alone(self, app: typer.Typer) -> None:
        printed = CliRunner().invoke(app, ["--count", "30", "--odd", "0.7"]).stdout_bytes
        *lines, rest = printed.split(b"\n")

        assert rest == b""
        assert len(lines) == 30
        assert all(json.loads(line)["type"] == "end-of-call-report" for line in lines)
        assert "\u2028" in printed.decode()

    def test_labels_say_what_each_line_is(self, app: typer.Typer, tmp_path: Path) -> None:
        file = tmp_path / "labels.ndjson"
        arguments = ["--count", "30", "--seed", "3", "--mix", "0.3", "--wrap", "--labels", str(file)]

        printed = CliRunner().invoke(app, arguments).stdout_bytes

        lines = printed.split(b"\n")[:-1]
        labels = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n")[:-1]]
        assert len(lines) == len(labels)
        for number, (line, label) in enumerate(zip(lines, labels, strict=True)):
            message = json.loads(line)["message"]
            assert label == {
                "n": number,
                "label": label["label"],
                "type": message["type"],
                "callId": message["call"].get("id"),
                "bytes": len(line),
            }

    def test_stats_print_the_sizes_and_no_report(self, app: typer.Typer) -> None:
        result = CliRunner().invoke(app, ["--count", "30", "--stats"])

        assert result.stdout == ""
        assert re.fullmatch(
            r"n=3[01] min=\d+ (p\d\d=\d+ ){7}max=\d+ mean=\d+ gzip6_mean=\d+ ratio=\d+\.\d\n", result.stderr
        )

    def test_stats_are_told_as_json_too(self, app: typer.Typer) -> None:
        result = CliRunner().invoke(app, ["--count", "30", "--stats", "--json"])
        sizes = json.loads(result.stdout)
        assert sizes["n"] == 30
        assert sizes["min"] <= sizes["p50"] <= sizes["max"]

    def test_stats_of_nothing_are_no_error(self, app: typer.Typer) -> None:
        assert CliRunner().invoke(app, ["--count", "0", "--stats"]).stderr == "n=0\n"

    def test_an_impossible_share_is_a_usage_error(self, app: typer.Typer) -> None:
        result = CliRunner().invoke(app, ["--mix", "1"])

        assert result.exit_code == 2
        assert "mix must be from 0 to less than 1" in result.stderr

    def test_a_reader_that_leaves_early_ends_it_quietly(self) -> None:
        with subprocess.Popen(
            [*COMMAND, "--count", "100000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            process.stdout.readline()
            process.stdout.close()

            assert process.stderr.read() == b""
            assert process.wait() == 0
