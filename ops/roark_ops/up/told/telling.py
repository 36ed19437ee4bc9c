"""What `up` tells a person: where reports go, where everything is, what the demo showed, what to try next."""

import os
import shlex
from pathlib import Path
from typing import Any

from roark_ledger.ids import as_argument
from roark_ledger.records.snapshot import Snapshot
from roark_ops.called import command_name, short
from roark_ops.cli.terminal.words import counted
from roark_ops.up.demo import on_the_way
from roark_ops.up.parts import SANDBOX_JITTER_MS, SANDBOX_LATENCY_MS
from roark_ops.up.plan import UpPlan
from roark_ops.up.told.summary import ThreeSides, UpSummary

_LOUD = "bold yellow"
_MOST_REJECTIONS = 3
Line = tuple[str, str | None]


def destination(plan: UpPlan) -> Line:
    """Say where reports will go."""
    if plan.sandbox_for_want_of_a_token:
        return "no ROARK_API_BEARER_TOKEN: using the sandbox; nothing is sent to Roark", _LOUD
    if plan.sandbox:
        return "--sandbox: reports go to a local stand-in; nothing is sent to Roark", "bold"
    return f"uploading to Roark at {plan.roark_url}{plan.upload_path}", "bold"


def other_ports(plan: UpPlan) -> list[str]:
    """Say which default ports were taken."""
    ports = {"webhook": plan.webhook, "sandbox": plan.sandbox, "flower": plan.flower, "console": plan.console}
    return [
        f"port {port.instead_of} is in use, so the {name} listens on {port.number}"
        for name, port in ports.items()
        if port and port.instead_of
    ]


def urls(plan: UpPlan) -> dict[str, str]:
    """Return where everything is."""
    found = {"webhook": plan.webhook_url}
    if plan.sandbox_url:
        found |= {"sandbox": plan.sandbox_url, "sandbox_calls": f"{plan.sandbox_url}/_sandbox/calls"}
    if plan.flower_url:
        found["flower"] = plan.flower_url
    if plan.console_url:
        found["console"] = plan.console_url
    return found


def places(plan: UpPlan, data_dir: Path) -> list[str]:
    """Say where everything is, as lines."""
    lines = [f"  console   {plan.console_url}    (all of this in a browser)"] if plan.console_url else []
    lines += [f"  webhook   {plan.webhook_url}    (Vapi's server URL; also /readyz)"]
    if plan.sandbox_url:
        lines.append(f"  sandbox   {plan.sandbox_url}/_sandbox/calls    (what it received)")
    if plan.flower_url:
        lines.append(f"  Flower    {plan.flower_url}/tasks")
    lines.append(f"  logs      {short(data_dir / 'logs')}")
    return lines


def findings(summary: UpSummary, plan: UpPlan) -> list[Line]:
    """Tell what the demo showed."""
    lines: list[Line] = [("", None), (_headline(summary), "bold green" if summary.is_complete else _LOUD)]
    lines += [(f"  {line}", None) for line in (*_intake(summary), *_way(summary, plan))]
    for example in summary.examples:
        lines.append((f"    {example.call_id} is {example.roark_call_id} at Roark, {example.latency_ms} ms", None))
    if summary.reconciled:
        lines += compared_in_words(summary.reconciled)
    return lines


def as_json(summary: UpSummary, plan: UpPlan) -> dict[str, Any]:
    """Return the same for a program."""
    return summary.as_json() | {"urls": urls(plan), "rate": plan.rate}


def next_steps(plan: UpPlan, summary: UpSummary | None, data_dir: Path) -> list[str]:
    """Say what to try next."""
    hints = plan.hints(data_dir)
    mine = " ".join([*(f"{name}={shlex.quote(value)}" for name, value in hints.items()), command_name()])
    call_id = summary.examples[0].call_id if summary and summary.examples else "CALL_ID"
    lines = ["Next, in another terminal:", f"  {mine} why {as_argument(call_id)}", f"  {mine} status"]
    if plan.sandbox_url:
        lines += [
            "  turn every fifth report into a dead letter, send some, and look at them:",
            f"""    curl -X PUT {plan.sandbox_url}/_sandbox/faults -d '{{"fail":["400:0.2"]}}'""",
            f"    {mine} sample --seed {os.getpid()} --count 20 | {mine} enqueue -",
            f"    {mine} dlq list",
        ]
    return lines


def left_over(snapshot: Snapshot) -> str:
    """Say what the next run will find."""
    if reports := on_the_way(snapshot):
        return f"{counted(reports, 'report')} not delivered yet; the next `up` here continues with them"
    return "all reports are settled"


def _headline(summary: UpSummary) -> str:
    if summary.is_complete:
        return f"All {summary.delivered} accepted calls were delivered."
    return f"{summary.delivered} of {summary.taken_in} accepted calls were delivered."


def _intake(summary: UpSummary) -> list[str]:
    answers = summary.answers
    told = {
        "accepted": "new calls",
        "spooled": "accepted while the server was unreachable, queued when it was back",
        "duplicate": "sent twice, recognised",
        "replaced": "newer report of a call, replaced the older one before its upload",
        "revision": "newer report of a call that was already delivered, kept",
        "ignored": "messages of other types",
        "rejected": "unusable, kept in the rejected bin (`roark-ingest rejected list`)",
        "failed": "not accepted",
    }
    lines = [f"{summary.sent} messages were posted to the webhook:"]
    lines += [f"  {answers[word]:>5} {word:<9}  {meaning}" for word, meaning in told.items() if answers.get(word)]
    lines += [f"                   ({reason})" for reason in summary.rejections[:_MOST_REJECTIONS]]
    return lines


def compared_in_words(found: ThreeSides) -> list[Line]:
    """Tell what the comparison with Vapi's list found, in the words of `reconcile`."""
    how_many = "" if found.left_out == found.never_came else f"{found.left_out} of them "
    why = f" ({how_many}left out on purpose)" if found.left_out else ""
    told = "each call that ended at Vapi has a report here"
    if found.never_came:
        brought = "brought in" if found.brought_in == found.never_came else f"{found.brought_in} brought in"
        told = f"{counted(found.never_came, 'call')} ended at Vapi whose reports never came{why}; {brought}"
    lines: list[Line] = [("", None), (told, None)]
    if found.agree:
        sums = f"{found.at_vapi} = {found.here} = {found.at_roark} calls at Vapi, here, at Roark"
        lines.append((sums, "bold green"))
    else:
        sums = f"{found.at_vapi}, {found.here}, {found.at_roark} calls at Vapi, here, at Roark: the sums do not agree"
        lines.append((sums, _LOUD))
    if found.incomplete:
        lines.append((f"not all could be compared: {found.incomplete}", _LOUD))
    return lines


def _way(summary: UpSummary, plan: UpPlan) -> list[str]:
    lines = []
    if others := {state: count for state, count in summary.states.items() if state != "delivered"}:
        which = ", ".join(f"{count} {state}" for state, count in others.items())
        lines.append(f"not delivered: {which}. To see why: {command_name()} status, and the worker's log")
    if received := summary.received:
        newer = f", {received.newer} of them with a preliminary report first" if received.newer else ""
        lines.append(
            f"the sandbox received {received.calls} of these calls{newer}; {received.twice} reports came twice, "
            f"{received.missing} are missing"
        )
    pace = f"posted at {plan.rate:g}/s" if plan.rate else "posted as fast as possible"
    answering = ""
    if plan.sandbox:
        answering = f" (including {SANDBOX_LATENCY_MS} to {SANDBOX_LATENCY_MS + SANDBOX_JITTER_MS} ms in the sandbox)"
    latencies = f"p50 {summary.p50_ms} ms, p95 {summary.p95_ms} ms, slowest {summary.slowest_ms} ms"
    lines.append(f"from accepted to delivered: {latencies}{answering}")
    lines.append(f"{summary.reports_per_second:.0f} reports/s ({pace})")
    return lines
