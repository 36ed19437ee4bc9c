"""*Reports*: in any state, by any filter. The filter is the address, so that it can be kept and sent to others."""

import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import QueryParams
from starlette.responses import HTMLResponse, Response

from roark_ledger.lifecycle import State
from roark_ledger.places import PLACES, UNCONFIRMED
from roark_ledger.records.letters import DeadLetter
from roark_ledger.records.snapshot import Snapshot
from roark_ops.cli.letters.dlq_list import said
from roark_ops.cli.letters.filtering import read_filter
from roark_ops.cli.terminal.running import Misused
from roark_ops.console.ask import Ask
from roark_ops.console.deeds import VERBS, Verb
from roark_ops.console.memory.survey import Survey
from roark_ops.console.writing import number
from roark_ops.desk.finding import Filter
from roark_ops.desk.grouping import Death
from roark_ops.desk.pages import Cursor, Pages

PER_PAGE = 50
_UNSHOWN = frozenset({State.DISCARDED.value, State.DELIVERED.value})
# The name in the address, and the option of the command.
FIELDS = {
    "group": "--group",
    "reason": "--died-of",
    "status": "--status",
    "since": "--since",
    "until": "--until",
    "assistant": "--assistant",
    "property": "--property",
    "attempts": "--attempts",
    "audio": "--audio",
    "audio_within": "--audio-ends-within",
    "text": "--text",
}


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """What an address asks for. `given` are the filter's fields in it, as they were typed."""

    states: tuple[str, ...]
    chosen: Filter
    given: tuple[tuple[str, str], ...]
    error: str = ""

    @property
    def is_dead(self) -> bool:
        """Whether it is about the dead letters alone, which are in memory."""
        return self.states == (State.DEAD.value,)

    def options(self) -> str:
        """Return the filter as the command's options."""
        return " ".join(
            f"--{'edited' if value == 'yes' else 'not-edited'}"
            if name == "edited"
            else f"{FIELDS[name]} {shlex.quote(value)}"
            for name, value in self.given
        )

    def command(self) -> str:
        """Return what would have to be typed for the same."""
        if self.is_dead:
            return f"roark-ingest dlq list {self.options()}".strip()
        return " ".join(("roark-ingest list", *(f"--state {state}" for state in self.states), self.options())).strip()

    def address(self) -> str:
        """Return the query of the address."""
        return urlencode([*(("state", state) for state in self.states), *self.given])


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A report in the list."""

    letter: DeadLetter
    reason: str
    said: str
    group: str


def read_query(query: QueryParams) -> ReportQuery:
    """Read an address. What cannot be read is told in `error`, and then nothing is meant."""
    states = tuple(dict.fromkeys(state for state in query.getlist("state") if state in PLACES))
    states = states or tuple(state for state in PLACES if state not in _UNSHOWN)
    given = [(name, value) for name, value in query.multi_items() if name in FIELDS and value]
    edited = query.get("edited", "")
    if edited in {"yes", "no"}:
        given.append(("edited", edited))
    several = {name: [value for each, value in given if each == name] for name in FIELDS}
    single = {name: values[-1] if values else "" for name, values in several.items()}
    try:
        chosen = read_filter(
            groups=several["group"],
            reasons=several["reason"],
            statuses=several["status"],
            since=single["since"],
            until=single["until"],
            assistants=several["assistant"],
            properties=several["property"],
            attempts=single["attempts"],
            audio=single["audio"],
            audio_ends_within=single["audio_within"],
            edited={"yes": True, "no": False}.get(edited),
            text=single["text"],
        )
    except Misused as error:
        return ReportQuery(states, Filter(), tuple(given), str(error))
    return ReportQuery(states, chosen, tuple(given))


def query_of(address: str) -> ReportQuery:
    """Read what `ReportQuery.address` wrote."""
    return read_query(QueryParams(parse_qsl(address[:4_000])))


def page(ask: Ask) -> Response:
    """Answer with a page of the list."""
    asked = read_query(ask.query)
    snapshot = ask.stage.live.now().snapshot
    letters, following, total = _page(ask, asked, snapshot)
    return ask.page(
        "reports_part.html" if ask.is_part else "reports.html",
        asked=asked,
        states=tuple(PLACES),
        fields=dict(asked.given),
        rows=[_row(letter) for letter in letters],
        following=following,
        is_first="cursor" not in ask.query,
        total=total,
        in_all=_in_all(asked, snapshot),
        verbs=[verb for verb in verbs_for(asked.states) if verb.name != "undo-edit" or asked.chosen.edited],
        now_ms=snapshot.now_ms,
        command=asked.command(),
    )


def count(ask: Ask) -> Response:
    """Answer with how many reports match, where that takes a walk through all of them."""
    asked = read_query(ask.query)
    found = sum(1 for _ in matching(ask, asked))
    return HTMLResponse(f"{number(found)} match")


def matching(ask: Ask, asked: ReportQuery) -> Iterator[DeadLetter]:
    """Yield all reports that are meant."""
    if asked.is_dead and (survey := ask.stage.surveyor.look()).is_whole:
        yield from survey.matching(asked.chosen)
        return
    yield from Pages(ask.stage.ledger).walk(asked.chosen, asked.states)


def verbs_for(states: Sequence[str]) -> list[Verb]:
    """Return what can be done to reports that are all in one of these states."""
    return [verb for verb in VERBS.values() if set(states) <= set(verb.states)]


def _page(ask: Ask, asked: ReportQuery, snapshot: Snapshot) -> tuple[Sequence[DeadLetter], str, int | None]:
    if asked.error:
        return (), "", 0
    try:
        behind = Cursor.parse(ask.query["cursor"]) if "cursor" in ask.query else None
    except ValueError:
        return (), "", 0
    if asked.is_dead and (survey := ask.stage.surveyor.look()).is_whole:
        return _page_in_memory(survey, asked, behind, snapshot.now_ms)
    page = Pages(ask.stage.ledger).page(
        asked.chosen, asked.states, limit=PER_PAGE, behind=behind, now_ms=snapshot.now_ms
    )
    is_all = behind is None and page.following is None
    total = len(page.letters) if is_all else _in_all(asked, snapshot) if asked.chosen.is_everything else None
    return page.letters, str(page.following or ""), total


def _page_in_memory(
    survey: Survey, asked: ReportQuery, behind: Cursor | None, now_ms: int
) -> tuple[Sequence[DeadLetter], str, int]:
    found = survey.matching(asked.chosen)
    if behind is None:
        page, youngest_ms = found[:PER_PAGE], now_ms
    else:
        # As of the first page: what died since is not on the others.
        youngest_ms = behind.youngest_ms
        spot = (behind.score_ms, behind.call_id)
        at = _first_behind(found, spot)
        page = [letter for letter in found[at : at + PER_PAGE] if letter.score_ms <= youngest_ms]
    if not page or page[-1] is found[-1]:
        return page, "", len(found)
    last = page[-1]
    return (
        page,
        str(Cursor(behind.now_ms if behind else now_ms, youngest_ms, "dead", last.score_ms, last.call_id)),
        len(found),
    )


def _first_behind(letters: Sequence[DeadLetter], spot: tuple[int, str]) -> int:
    low, high = 0, len(letters)
    while low < high:
        middle = (low + high) // 2
        letter = letters[middle]
        if (letter.score_ms, letter.call_id) <= spot:
            low = middle + 1
        else:
            high = middle
    return low


def _in_all(asked: ReportQuery, snapshot: Snapshot) -> int:
    totals = {state.value: many for state, many in snapshot.states.items()}
    totals |= {UNCONFIRMED: snapshot.unconfirmed, State.DELIVERED.value: snapshot.confirmed}
    return sum(totals[state] for state in asked.states)


def _row(letter: DeadLetter) -> ReportRow:
    death = Death.of(letter)
    return ReportRow(letter, death.reason or death.last, said(letter), death.group)
