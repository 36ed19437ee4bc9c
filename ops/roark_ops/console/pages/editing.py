"""*Edit*: set fields of one report or of a group, and see the difference before anything is stored."""

from itertools import islice
from typing import Any

from starlette.responses import Response

from roark_ledger.errors import ConfigurationError
from roark_ops.console.ask import Ask, NotThere
from roark_ops.console.memory.selections import Selection
from roark_ops.desk.dead_letters import DeadLetters
from roark_ops.mending import json_text
from roark_ops.mending.editing import CannotEdit, read_settings
from roark_ops.mending.patching import Change

_ROWS = 5
_TRIED, _SHOWN = 200, 5
_MOST_CHANGES = 30
_MOST_VALUE = 300


def preview(ask: Ask) -> Response:
    """Read what is to be set, try it on some of the reports, and show the difference."""
    selection = ask.stage.selections.find(str(ask.form.get("id", "")), by=ask.visitor.name)
    if selection is None or selection.deed != "edit":
        raise NotThere("This selection is no longer kept. Select again.")
    if selection.state != "frozen":
        return ask.go("/selection", id=selection.id)
    places = [str(each).strip() for each in ask.form.getlist("place")]
    values = [str(each) for each in ask.form.getlist("value")]
    rows = [(place, value) for place, value in zip(places, values, strict=False) if place][:_ROWS]
    selection.plan = {"rows": rows}
    try:
        steps = read_settings([f"{place}={value}" for place, value in rows])
        tried = list(_tried(ask, selection, steps))
    except (CannotEdit, ConfigurationError) as error:
        selection.plan["error"] = str(error)
        return ask.go("/selection", id=selection.id)
    fitting = [one for one in tried if one.result == "edited"]
    selection.plan |= {
        "tried": len(tried),
        "fitting": len(fitting),
        "examples": [(one.call_id, one.changes) for one in fitting[:_SHOWN]],
        "unfit": [(one.call_id, one.why or one.result) for one in tried if one.result != "edited"][:_SHOWN],
    }
    if fitting:
        selection.plan["steps"] = steps
    else:
        selection.plan["error"] = "None of these reports can be edited like this."
    return ask.go("/selection", id=selection.id)


def _tried(ask: Ask, selection: Selection, steps: Any) -> Any:
    if not steps:
        raise CannotEdit("Say which field to set, such as endedAt, and to what")
    desk = DeadLetters(ask.stage.ledger, by="")
    return desk.edit(islice(selection.subjects, _TRIED), steps, dry_run=True)


def edit_values(ask: Ask, selection: Selection) -> dict[str, Any]:
    """Return what the page about an edit shows beside."""
    rows = selection.plan.get("rows") or [(ask.query.get("place", "")[:200], "")]
    return {
        "rows": [*rows, *[("", "")] * (_ROWS - len(rows))][: max(len(rows) + 1, 2)],
        "edit_error": selection.plan.get("error", ""),
        "is_tried": "tried" in selection.plan,
        "tried": selection.plan.get("tried", 0),
        "fitting": selection.plan.get("fitting", 0),
        "differences": [
            (call_id, [_difference(change) for change in changes[:_MOST_CHANGES]], max(0, len(changes) - _MOST_CHANGES))
            for call_id, changes in selection.plan.get("examples", ())
        ],
        "unfit": selection.plan.get("unfit", ()),
    }


def _difference(change: Change) -> tuple[str, str, str]:
    return json_text.pointer(change.place) or "(all)", _value(change.before), _value(change.after)


def _value(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    return text if len(text) <= _MOST_VALUE else f"{text[:_MOST_VALUE]}… ({len(text)} characters)"
