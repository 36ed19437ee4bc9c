"""What `dlq export` and `dlq import` do: letters to a file, written whole or not at all, and from a file back."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from roark_ledger.errors import LedgerError
from roark_ledger.moves import desk as desk_moves
from roark_ledger.records.logbook import Action, doer
from roark_ops.access import Access
from roark_ops.cli.act.enqueueing import complainer, feed, json_line, sum_up
from roark_ops.cli.act.feeding import Fed, Feeder, Told
from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.progress import progress
from roark_ops.cli.terminal.running import FAILED, USAGE, fail, say
from roark_ops.cli.terminal.sources import STDIN, Source
from roark_ops.cli.terminal.targets import target
from roark_ops.cli.terminal.words import counted, shown
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.desk.finding import Filter
from roark_ops.desk.portable import Seal, is_manifest, prepared, take_in
from roark_producer.files.compression import DamagedInput
from roark_producer.producer import Producer
from roark_producer.settings import IngestSettings
from roark_producer.taking import Receipt

_PATIENCE_SECONDS = 30.0
_LINE_AROUND_BYTES = 2_000_000


def carry_out(access: Access, chosen: Filter, path: str, *, by: str, force: bool, as_json: bool) -> None:
    """Write the dead letters that are meant to `path`, and the manifest behind them; tell how many."""
    desk = DeadLetters(access.ledger, by=by)
    with target(path, force=force) as file:
        # In a pipe every line is a letter, for jq and grep.
        done = desk.export(file, chosen, name=path, manifest=path != STDIN, complain=_complain)
    if as_json and path != STDIN:
        print_json({"file": path, "exported": done.letters, "left_out": done.left_out, "sha256": done.sha256})
    elif path == STDIN:
        say(f"{counted(done.letters, 'dead letter')} exported.")
    else:
        print_line(f"{counted(done.letters, 'dead letter')} exported to {path}.")
        print_line(f"sha256 {done.sha256}")
    if done.left_out:
        say(f"Skipped {counted(done.left_out, 'report')}.")


def _complain(call_id: str, why: str) -> None:
    say(f"roark-ingest: skipped call {shown(call_id)}: {why}")


def carry_in(sources: Sequence[Source], *, by: str, partial: bool, check: bool, as_json: bool, sha256: str = "") -> int:
    """Queue what was exported, and return the exit code.

    `partial` says that lines may be missing, or changed, so that no manifest matches. With `check` nothing is queued.
    With `sha256` nothing is queued but a file whose letters have that checksum: whoever changes one can also write the
    manifest anew.
    """
    settings = IngestSettings()
    if sha256:
        _prove(sources, sha256.strip().lower())
    fed, customs = Fed(), _Customs()
    with Producer.from_settings(settings, source="import") as producer, progress(sources, quiet=False) as screen:
        files = " ".join(source.name for source in sources)
        if not check:
            producer.ledger.run(desk_moves.log_deed(Action.IMPORT, who=doer(by, step="begun", file=files)))
        feeder = Feeder(
            submit=(lambda lines: list(map(_looked_at, lines))) if check else (lambda lines: take_in(producer, lines)),
            tell=json_line if as_json else complainer(screen),
            after_batch=lambda: screen.show(fed),
            complain=screen.complain,
            # Base64 is a third longer than the report, there may be an original beside it, and the rest is small.
            most_bytes=settings.max_report_bytes * 8 // 3 + _LINE_AROUND_BYTES,
            patience=_PATIENCE_SECONDS,
            passes=customs.pass_,
        )
        code = feed(feeder, sources, fed, screen)
        if not check:
            ended = doer(by, step="ended", file=files, stored=fed.stored, rejected=fed.results["rejected"])
            with suppress(LedgerError):
                producer.ledger.run(desk_moves.log_deed(Action.IMPORT, who=ended, count=fed.stored))
    if not as_json:
        sum_up(fed)
    if code or partial:
        return code
    return _complain_about(customs, sources)


def _prove(sources: Sequence[Source], sha256: str) -> None:
    for source in sources:
        if source.path == STDIN:
            fail("--sha256 needs a file: standard input can only be read once.", USAGE)
        seal = Seal()
        try:
            with source.opened() as file:
                # As a file's lines, whatever they hold: this is before anything in it is believed.
                for line in file:
                    if not is_manifest(line):
                        seal.add(line.removesuffix(b"\n"))
        except (OSError, DamagedInput) as error:
            fail(f"cannot read {source.name}: {error}.")
        if seal.sha256 != sha256:
            fail(f"{source.name} is not the file that was exported: its checksum differs. Nothing was queued.")


def _complain_about(customs: "_Customs", sources: Sequence[Source]) -> int:
    if customs.breaches:
        for breach in customs.breaches:
            say(f"roark-ingest: {breach}. Everything readable was queued. Use --partial to accept the file as it is.")
        return FAILED
    if customs.is_open and any(source.name != "stdin" for source in sources):
        say(
            "roark-ingest: the manifest is missing: the file was truncated, or another program wrote it. Everything "
            "readable was queued. Use --partial to accept the file as it is."
        )
        return FAILED
    return 0


class _Customs:
    """Looks at each line on its way in: counts letters, and compares them with the manifest behind them."""

    def __init__(self) -> None:
        self._seal = Seal()
        self.breaches: list[str] = []

    @property
    def is_open(self) -> bool:
        """Whether letters came behind the last manifest."""
        return self._seal.letters > 0

    def pass_(self, line: bytes) -> bool:
        """Take note of a line; say whether it is a letter."""
        if not is_manifest(line):
            self._seal.add(line)
            return True
        if breach := self._seal.breach(line):
            self.breaches.append(breach)
        self._seal = Seal()
        return False


@dataclass(frozen=True, slots=True)
class _Checked:
    call_id: str
    result: str = "good"
    reason: str = ""


def _looked_at(line: bytes) -> Told:
    found = prepared(line)
    return found if isinstance(found, Receipt) else _Checked(found.call_id)
