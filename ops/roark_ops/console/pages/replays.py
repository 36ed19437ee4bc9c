"""*Replays*: which jobs run, how far they are, and the report for the ticket."""

from collections.abc import Callable

from starlette.responses import PlainTextResponse, Response

from roark_ledger.records.replays import Job, JobState
from roark_ops.cli.views.replay import facts_of, in_a_word, markdown
from roark_ops.console.ask import Ask, NotThere
from roark_ops.desk.replays import MAY_CHANGE, Replays

_PER_PAGE = 30


def page(ask: Ask) -> Response:
    """Answer with the open jobs, and a page of the ended ones."""
    first = ask.number("offset") if "offset" in ask.query else 0
    found = Replays(ask.stage.ledger, by="").list(first=first, most=_PER_PAGE)
    ended = first + sum(job.state is JobState.ENDED for job in found.jobs)
    return ask.page(
        "replays_part.html" if ask.is_part else "replays.html",
        jobs=found.jobs,
        following=ended if ended < found.ended else 0,
        in_a_word=in_a_word,
        now_ms=ask.stage.live.now().snapshot.now_ms,
        command="roark-ingest replay list",
    )


def job(ask: Ask) -> Response:
    """Answer with one job."""
    found = _job(ask, ask.number("job"))
    return ask.page(
        "replay_part.html" if ask.is_part else "replay.html",
        job=found,
        word=in_a_word(found),
        facts=[(name, value) for name, value in facts_of(found, 0) if value and name != "job"],
        may=_may(found),
        settled=found.delivered + found.failed + found.erased + sum(found.left.values()) + found.given_back,
        told=ask.query.get("told", ""),
        now_ms=found.now_ms,
        command=f"roark-ingest replay show {found.number}",
    )


def report(ask: Ask) -> Response:
    """Answer with the report for the ticket, as a file."""
    found = _job(ask, ask.number("job"))
    name = f'attachment; filename="replay-{found.number}.md"'
    return PlainTextResponse(f"{markdown(found)}\n", headers={"Content-Disposition": name})


def changing(verb: str) -> Callable[[Ask], Response]:
    """Return what pauses, resumes or cancels a job."""

    def answer(ask: Ask) -> Response:
        number = ask.number("job", source=ask.form)
        replays = Replays(ask.stage.ledger, by=ask.visitor.name)
        was: str = getattr(replays, verb)(number, reason=ask.text("reason"))
        ask.stage.live.now(fresh=True)
        # A second click finds it changed, and shows that.
        return ask.go("/replay", job=number, told="" if was in MAY_CHANGE[verb] else f"was-{was}")

    return answer


def _job(ask: Ask, number: int) -> Job:
    found = Replays(ask.stage.ledger, by="").show(number)
    if found is None:
        raise NotThere(f"There is no replay job {number}. Old ones are removed after ROARK_INGEST_REPLAY_KEEP_DAYS.")
    return found


def _may(found: Job) -> set[str]:
    if found.was_cancelled:
        return set()
    return {verb for verb, states in MAY_CHANGE.items() if found.state.value in states}
