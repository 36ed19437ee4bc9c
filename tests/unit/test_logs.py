"""Logs: one wide event per line, and nothing in it that must not be there."""

import errno
import io
import json
import logging
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from roark_ledger.logs import Lines, event, redact, set_up_logging, written_together

logger = logging.getLogger("tests.logs")


@pytest.fixture(autouse=True)
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def json_lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


class TestEvents:
    def test_an_event_is_one_json_line_with_its_action_and_fields(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("json", "info")
        event(logger, "delivered", call_id="call-1", attempt=2, duration_ms=131.5, states=["ready", "uploading"])
        (line,) = json_lines(capsys)
        assert line.pop("time").endswith("+00:00")
        assert line == {
            "level": "info",
            "logger": "tests.logs",
            "action": "delivered",
            "call_id": "call-1",
            "attempt": 2,
            "duration_ms": 131.5,
            "states": ["ready", "uploading"],
        }

    def test_an_event_without_fields_still_has_its_action(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("json", "info")
        event(logger, "drained")
        assert json_lines(capsys)[0]["action"] == "drained"

    def test_on_the_console_an_event_is_a_line_that_people_read(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("console", "info")
        event(logger, "buried", level=logging.WARNING, call_id="call-1", reason="Roark says: bad report", status=422)
        line = capsys.readouterr().err
        assert line.endswith('warning buried call_id=call-1 reason="Roark says: bad report" status=422\n')

    def test_an_event_below_the_level_is_not_logged(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("json", "warning")
        event(logger, "accept", level=logging.DEBUG, call_id="call-1")
        event(logger, "accept", call_id="call-1")
        assert capsys.readouterr().err == ""

    def test_a_line_of_another_library_has_a_message(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("json", "info")
        logging.getLogger("celery").warning("lost %s of %d", "contact", 3)
        (line,) = json_lines(capsys)
        assert (line["message"], line["logger"]) == ("lost contact of 3", "celery")

    def test_setting_up_twice_does_not_log_twice(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("console", "info")
        set_up_logging("json", "info")
        event(logger, "drained")
        assert len(json_lines(capsys)) == 1

    def test_a_field_cannot_take_the_place_of_the_time_or_the_action(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("json", "info")
        event(logger, "drained", time="never", **{"action ": "x"})
        (line,) = json_lines(capsys)
        assert line["action"] == "drained"
        assert line["time"] != "never"

    @pytest.mark.parametrize("fmt", ["json", "console"])
    @pytest.mark.parametrize("text", ["two\nlines", "a\x1b[31mb", "\ud800", "\u2028", 'quo"te', "a=b", ""])
    def test_no_text_breaks_the_line(self, fmt: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging(fmt, "info")
        event(logger, "drained", reason=text)
        written = capsys.readouterr().err
        assert written.count("\n") == 1
        assert "\x1b" not in written

    @pytest.mark.parametrize("fmt", ["json", "console"])
    def test_an_exception_comes_along_masked(self, fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging(fmt, "info")
        try:
            raise ValueError("no answer from redis://:hunter2@localhost for +15550107997")
        except ValueError:
            logger.exception("stopped")
        written = capsys.readouterr().err
        assert "ValueError" in written
        assert "hunter2" not in written
        assert "5550107997" not in written


class TestRedaction:
    @pytest.mark.parametrize(
        "name", ["secret", "vapi_secret", "X-Vapi-Secret", "token", "password", "Authorization", "api_key", "apiKey"]
    )
    def test_values_under_a_secret_name_are_masked(self, name: str) -> None:
        assert masked(**{name: "hunter2"}) == {name: "***"}
        assert masked(request={name: ["hunter2"]}) == {"request": {name: "***"}}

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("call from +15550107997 ended", "call from +*** ended"),
            ("+1 (555) 010-7997", "+***"),
            ("+4930123456", "+***"),
            ("sent Authorization: Bearer abc.def-123", "sent Authorization: Bearer ***"),
            ("bearer abc", "Bearer ***"),
            ("Missing or invalid bearer token", "Missing or invalid bearer token"),
            ("Bearer tokens-and-more", "Bearer ***"),
            ("redis://user:p@ss@host:6379/0", "redis://user:***@host:6379/0"),
            ("rediss://:pass@host", "rediss://:***@host"),
        ],
    )
    def test_what_looks_like_a_secret_is_masked_in_any_text(self, text: str, shown: str) -> None:
        assert masked(reason=text) == {"reason": shown}
        assert masked(deep=[{"reason": text}]) == {"deep": [{"reason": shown}]}

    @pytest.mark.parametrize(
        "text",
        [
            "01a19b7c-f28d-782e-a014-00426f00450b",
            "2026-11-22T10:00:00.000+00:00",
            "1e+300",
            "http://127.0.0.1:8787/vapi",
            "redis://localhost:6379/0",
            "+5",
            "1+1=2",
        ],
    )
    def test_what_only_resembles_a_secret_stays(self, text: str) -> None:
        assert masked(reason=text) == {"reason": text}

    def test_numbers_and_truth_values_stay(self) -> None:
        assert masked(count=15550107997, share=0.5, has_secret=True, token_seen=None) == {
            "count": 15550107997,
            "share": 0.5,
            "has_secret": True,
            "token_seen": None,
        }

    def test_a_message_with_arguments_is_masked(self) -> None:
        record = logging.LogRecord("celery", logging.INFO, "", 1, "calling %s", ("+15550107997",), None)
        redact(record)
        assert record.getMessage() == "calling +***"

    @given(st.text(max_size=30), st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True), st.text("abc ,;", max_size=5))
    def test_no_phone_number_survives(self, before: str, number: str, after: str) -> None:
        assert number not in str(masked(reason=f"{before}{number}{after}"))


def masked(**fields: Any) -> dict[str, Any]:
    record = logging.LogRecord("tests", logging.INFO, "", 1, "happened", None, None)
    record.fields = fields
    redact(record)
    kept: dict[str, Any] = record.fields
    return kept


class TestLinesThatAreWrittenTogether:
    def test_they_come_at_the_blocks_end_in_order(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("console", "info")
        with written_together():
            event(logging.getLogger("a"), "first", token="secret-1")
            event(logging.getLogger("a"), "second")
            assert capsys.readouterr().err == ""

        lines = capsys.readouterr().err.splitlines()

        assert [line.split()[2] for line in lines] == ["first", "second"]
        assert "secret-1" not in lines[0]

    @pytest.mark.parametrize("fmt", ["json", "console"])
    def test_each_is_the_line_that_it_would_be_by_itself(self, fmt: str, capsys: pytest.CaptureFixture[str]) -> None:
        def tell() -> None:
            own = logging.getLogger("tests.logs")
            event(own, "deliver", call_id="+15550107997", attempt=2, status=None, age_seconds=1.5, confirmed=False)
            event(own, "bury", level=logging.WARNING, token="hunter2", request={"secret": "hunter2"}, words='a "b"')

        set_up_logging(fmt, "info")
        tell()
        by_themselves = capsys.readouterr().err
        with written_together():
            tell()
        together = capsys.readouterr().err
        logging.getLogger().addHandler(listening := logging.NullHandler())
        with written_together():
            tell()
        logging.getLogger().removeHandler(listening)

        def timeless(text: str) -> str:
            return re.sub(r"[\dT:-]*\d\d:\d\d:\d\d\.\d{3}", "", text)

        assert "hunter2" not in together
        assert timeless(together) == timeless(by_themselves) == timeless(capsys.readouterr().err)

    def test_they_are_written_when_the_block_fails(self, capsys: pytest.CaptureFixture[str]) -> None:
        def fails() -> None:
            with written_together():
                event(logging.getLogger("a"), "before")
                raise RuntimeError

        set_up_logging("json", "info")
        with pytest.raises(RuntimeError):
            fails()

        assert '"action": "before"' in capsys.readouterr().err

    def test_behind_the_block_each_is_written_as_it_comes(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("console", "info")
        with written_together():
            pass
        event(logging.getLogger("a"), "later")

        assert "later" in capsys.readouterr().err

    def test_a_disk_that_is_full_does_not_end_what_is_logged_about(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        class Full(io.StringIO):
            def write(self, _: str) -> int:
                raise OSError(errno.ENOSPC, "No space left on device")

        set_up_logging("console", "info")
        handler = next(each for each in logging.getLogger().handlers if isinstance(each, Lines))
        monkeypatch.setattr(handler, "stream", Full())

        with written_together():
            event(logging.getLogger("a"), "unwritten")

        assert "No space left" in capsys.readouterr().err

    def test_another_thread_is_not_held_up(self, capsys: pytest.CaptureFixture[str]) -> None:
        set_up_logging("console", "info")
        with written_together():
            other = threading.Thread(target=event, args=(logging.getLogger("a"), "elsewhere"))
            other.start()
            other.join()
            assert "elsewhere" in capsys.readouterr().err
