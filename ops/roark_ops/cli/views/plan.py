"""What `roark-ingest plan` shows: what an outage takes, how long what there is lasts, and what would help."""

from dataclasses import asdict
from typing import Any

from roark_ops.cli.terminal.output import print_facts, print_json, print_line
from roark_ops.cli.terminal.sizes import size
from roark_ops.cli.terminal.words import span
from roark_ops.outage import Load, OutagePlan, Provision, plan_outage


def show_plan(load: Load, room: Provision, *, as_json: bool) -> None:
    """Print the plan for a load and what there is."""
    plan = plan_outage(load, room)
    if as_json:
        print_json(plan_document(load, room, plan))
        return
    print_line(
        f"{span(load.seconds)} without Roark, {load.per_second:.3g} reports/s of {size(load.packed_bytes)} as stored:"
    )
    print_line()
    print_facts(
        (
            ("reports", f"{plan.reports:,} waiting at the end"),
            ("memory", f"{size(plan.memory_bytes)} of maxmemory keep all of them in Redis"),
            ("disk", f"{size(plan.disk_bytes)} for Redis's append-only file, while it is rewritten"),
            ("restart", f"about {span(plan.start_seconds)} until Redis answers again with all of them"),
            *_with_what_there_is(room, plan),
        )
    )
    for advice in advices(room, plan):
        print_line()
        print_line(advice)


def plan_document(load: Load, room: Provision, plan: OutagePlan) -> dict[str, Any]:
    """Return the plan as `--json` prints it. Times in seconds, sizes in bytes, null where it is not known."""
    given = {**asdict(load), **asdict(room), "most": room.most or None}
    return {"given": given, **asdict(plan), "advice": list(advices(room, plan))}


def _with_what_there_is(room: Provision, plan: OutagePlan) -> list[tuple[str, str]]:
    if plan.memory_seconds is None or plan.spool_seconds is None or plan.refused_seconds is None:
        return [("here", "Redis has no maxmemory, or none is known: give --memory to see how long it lasts")]
    used = f", {size(room.used)} of it used" if room.used else ""
    is_enough = not (plan.spool_seconds or plan.refused_seconds)
    lasts = "enough for all of it" if is_enough else f"it lasts {span(plan.memory_seconds)}"
    told = [("here", f"{size(room.most)} of maxmemory{used}: {lasts}")]
    if plan.spool_seconds:
        each = "the webhook's spool" if room.webhooks == 1 else f"the spools of {room.webhooks} webhooks"
        told.append(("then", f"{each} for {span(plan.spool_seconds)}, {size(plan.spooled_bytes)} each"))
    if plan.refused_seconds:
        told.append(("then", f"webhooks answer 503 for {span(plan.refused_seconds)}: reports may be lost"))
    return told


def advices(room: Provision, plan: OutagePlan) -> tuple[str, ...]:
    """Return what would keep every report, one way each; nothing where nothing is refused or nothing is known."""
    if not plan.refused_seconds:
        return ()
    each = "the webhook" if room.webhooks == 1 else f"each of {room.webhooks} webhooks"
    found = [
        f"Enough memory: maxmemory {size(plan.memory_bytes)}. An embedded server takes half of its machine's memory.",
        f"Or enough disk: ROARK_INGEST_SPOOL_MAX_BYTES={plan.spool_needed_bytes} on {each}.",
    ]
    if plan.webhooks_needed > room.webhooks:
        found.append(f"Or {plan.webhooks_needed} webhooks, on machines of their own, with spools as large as now.")
    return tuple(found)
