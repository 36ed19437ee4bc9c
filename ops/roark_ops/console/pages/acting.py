"""What is about to be done to a selection, and what became of it: one page for all deeds.

1. `freezing` takes down what is meant, and shows it: the number stands on the button.
2. `going` claims it and does it. A few seconds are waited for; what takes longer goes on, and the page tells how far.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from itertools import islice

from starlette.responses import Response

from roark_ledger.errors import IngestError, LedgerUnavailable
from roark_ledger.logs import event
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.replays import RAMP
from roark_ops.cli.letters.moved import why_not_moved
from roark_ops.cli.letters.replay import plan_of, why_left_out
from roark_ops.cli.terminal.running import Misused, in_words
from roark_ops.cli.views.replay import left_alone, warnings_of
from roark_ops.console.ask import Ask, NotThere
from roark_ops.console.deeds import VERBS, Verb
from roark_ops.console.memory.selections import Selection
from roark_ops.console.pages.editing import edit_values
from roark_ops.console.pages.reports import matching, query_of
from roark_ops.desk.rejected import RejectedBin
from roark_ops.desk.replays import MOST_WITHOUT_REASON, Replays

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 3.0
_NAMED = 20
_LONGEST_ID = 512
_DELAY_SECONDS = 5.0


def freezing(verb: Verb) -> Callable[[Ask], Response]:
    """Return what takes a selection down."""

    def answer(ask: Ask) -> Response:
        selection = _frozen_entries(ask, verb) if verb.is_about_entries else _frozen_reports(ask, verb)
        # The field that Roark named is the first to be set.
        named = {"place": place} if verb.name == "edit" and (place := ask.text("place", 200)) else {}
        return ask.go("/selection", id=selection.id, **named)

    return answer


def going(verb: Verb) -> Callable[[Ask], Response]:
    """Return what does it, once."""

    def answer(ask: Ask) -> Response:
        selection = _selection(ask, ask.form.get("id", ""))
        if selection.deed != verb.name:
            raise NotThere("That selection is for something else.")
        if told := _unready(ask, verb, selection):
            return _show(ask, selection, told=told, status=422)
        if ask.stage.selections.claim(selection):
            _start(ask, verb, selection)
        selection.finished.wait(_PATIENCE_SECONDS)
        if job := selection.facts.get("job"):
            return ask.go("/replay", job=job)
        return ask.go("/selection", id=selection.id)

    return answer


def page(ask: Ask) -> Response:
    """Answer with a selection, before, while and after."""
    return _show(ask, _selection(ask, ask.query.get("id", "")))


def _selection(ask: Ask, name: object) -> Selection:
    found = ask.stage.selections.find(str(name), by=ask.visitor.name)
    if found is None:
        raise NotThere("This selection is no longer kept: an hour has passed, or the console restarted. Select again.")
    return found


def _frozen_reports(ask: Ask, verb: Verb) -> Selection:
    form, now_ms = ask.form, ask.stage.live.now().snapshot.now_ms
    if form.get("all"):
        asked = query_of(str(form.get("query", "")))
        if asked.error or not set(asked.states) <= set(verb.states):
            raise NotThere(f"This is not for reports that are {', '.join(asked.states)}. {asked.error}")
        letters = tuple(matching(ask, asked))
        options = asked.options()
        selection = _freeze(
            ask, verb, [one.call_id for one in letters], options or "--all", now_ms, everything=not options
        )
        _plan_letters(ask, verb, selection, letters)
        return selection
    # `call` is each one that was ticked, `from` a selection of which something was done before.
    ticked: Sequence[str] = [each[:_LONGEST_ID] for each in form.getlist("call") if isinstance(each, str) and each]
    if "from" in form:
        ticked = _selection(ask, form["from"]).subjects
    if not ticked:
        raise NotThere("Nothing is selected. Tick reports in the list, or choose all that match.")
    selection = _freeze(ask, verb, ticked, "", now_ms)
    if verb.name == "replay":
        selection.plan["preview"] = Replays(ask.stage.ledger, by="").preview_calls(ticked)
        selection.subjects = tuple(call_id for call_id, _ in selection.plan["preview"].letters)
    return selection


def _freeze(
    ask: Ask, verb: Verb, subjects: Sequence[str], chosen: str, now_ms: int, *, everything: bool = False
) -> Selection:
    return ask.stage.selections.freeze(
        verb.name, by=ask.visitor.name, subjects=subjects, chosen=chosen, now_ms=now_ms, is_everything=everything
    )


def _plan_letters(ask: Ask, verb: Verb, selection: Selection, letters: Sequence[DeadLetter]) -> None:
    if verb.name != "replay":
        return
    chosen = selection.chosen if not selection.is_everything else "all"
    preview = Replays(ask.stage.ledger, by="").preview_letters(letters, chosen)
    selection.plan["preview"] = preview
    selection.subjects = tuple(call_id for call_id, _ in preview.letters)


def _frozen_entries(ask: Ask, verb: Verb) -> Selection:
    now_ms = ask.stage.live.now().snapshot.now_ms
    if ask.form.get("all"):
        digests = [entry.digest for entry in RejectedBin(ask.stage.ledger).entries()]
        return _freeze(ask, verb, digests, "--all", now_ms, everything=True)
    ticked = [str(each)[:128] for each in ask.form.getlist("call") if each]
    if not ticked:
        raise NotThere("Nothing is selected. Tick entries in the list.")
    return _freeze(ask, verb, ticked, "", now_ms)


def _unready(ask: Ask, verb: Verb, selection: Selection) -> str:
    """Return what is missing before it can be done, "" where nothing is; take down what was filled in."""
    if selection.state != "frozen":
        return ""
    if not selection.subjects:
        return "There is nothing to do: the selection is empty."
    selection.reason = ask.text("reason")
    if selection.count > MOST_WITHOUT_REASON and not selection.reason:
        return f"More than {MOST_WITHOUT_REASON} reports need a reason."
    if verb.name == "edit" and "steps" not in selection.plan:
        return "First say what to set, and look at the difference."
    if verb.name == "replay":
        try:
            pace = plan_of(ask.text("rate", 20), ask.text("stop_at", 20) or "20%", ramp=bool(ask.form.get("ramp")))
        except Misused as error:
            return str(error)
        selection.plan |= {"pace": pace, "delay_seconds": _DELAY_SECONDS}
    return ""


def _start(ask: Ask, verb: Verb, selection: Selection) -> None:
    stage, by = ask.stage, ask.visitor.name

    def work() -> None:
        try:
            for subject, word in verb.run(stage, selection, by):
                selection.done += 1
                selection.results[word] += 1
                if word != verb.wanted and len(selection.others) < _NAMED:
                    selection.others.append((subject, word))
            stage.live.now(fresh=True)
            stage.surveyor.look(at_once=stage.surveyor.is_quick)
        except LedgerUnavailable as error:
            selection.failed = f"{in_words(error)} Select again and repeat it: what is done already is not done twice."
        except IngestError as error:
            selection.failed = in_words(error)
        except Exception as error:  # noqa: BLE001 nobody waits for this thread; the message may quote a report
            event(logger, "deed_failed", level=logging.ERROR, deed=verb.name, error=type(error).__name__)
            selection.failed = "The console failed half-way. The page Log says what was done."
        finally:
            selection.state = "failed" if selection.failed else "done"
            selection.finished.set()

    threading.Thread(target=work, name=f"console-{verb.name}", daemon=True).start()


def _show(ask: Ask, selection: Selection, *, told: str = "", status: int = 200) -> Response:
    verb = VERBS[selection.deed]
    values = edit_values(ask, selection) if verb.name == "edit" else {}
    return ask.page(
        "selection_part.html" if ask.is_part else "selection.html",
        status=status,
        selection=selection,
        verb=verb,
        told=told,
        needs_reason=selection.count > MOST_WITHOUT_REASON,
        most=MOST_WITHOUT_REASON,
        examples=tuple(islice(selection.subjects, _NAMED)),
        preview=selection.plan.get("preview"),
        warnings=_warnings(selection),
        others=[(subject, _why_not(verb, subject, word)) for subject, word in selection.others if subject],
        left_out=[(many, why_left_out(word)) for word, many in selection.results.items() if word != verb.wanted],
        ramp=RAMP,
        command=verb.typed(selection),
        now_ms=ask.stage.live.now().snapshot.now_ms,
        **values,
    )


def _warnings(selection: Selection) -> list[str]:
    preview = selection.plan.get("preview")
    if preview is None:
        return []
    return [*warnings_of(preview), *left_alone(preview.elsewhere, preview.held)]


def _why_not(verb: Verb, subject: str, word: str) -> str:
    if verb.is_about_entries:
        return {"rejected": "still can't be used"}.get(word, word)
    found = {
        "unfit": "the edit does not apply to it",
        "unchanged": "nothing to change",
        "changed": "someone else changed it",
    }
    return found.get(word) or why_not_moved(subject, word)
