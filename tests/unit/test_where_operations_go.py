"""Every move says where it goes in a ledger of several partitions; those that say nothing go to the home alone."""

import ast
import inspect
from collections.abc import Iterator
from types import ModuleType

from roark_ledger.moves import delivery, desk, intake, receipts, reconcile, replay, upkeep, watch
from roark_ledger.partitions.placing import SLOTS, partition_of, prefixes
from roark_ledger.server.cluster import slot_of

# The lane, the rejected bin, whose turn it is, set-ups, alerts, spools, and what is said or counted of no call.
AT_HOME = {
    *("hold", "resume", "switch_route", "lane_news", "ask_vapi"),
    *("reject", "rejected_page", "unreject", "erase_rejected"),
    *("audit_turn", "audit_done", "reconcile_turn", "reconcile_note"),
    *("note_setup", "note_crew", "crew", "setups", "take_alerts", "alert_sent"),
    *("note_spool", "note_unread", "tally", "log_deed", "keep_partitions"),
    # Of one logbook each: whoever cleans them goes through the partitions.
    *("copy_deeds", "swap_deeds", "mask_job"),
}


def calls_in(function: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names of what a function calls, and with how many arguments."""
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, len(node.args) + len(node.keywords)


def goes_home(function: ast.AST) -> bool:
    made = [many for name, many in calls_in(function) if name == "Operation"]
    by_call = any(name in {"for_calls", "for_call"} for name, _ in calls_in(function))
    return bool(made) and max(made) == 3 and not by_call


def moves_to_the_home(module: ModuleType) -> set[str]:
    tree = ast.parse(inspect.getsource(module))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef) and goes_home(node)}


def test_what_goes_to_the_home_alone_is_about_no_call() -> None:
    found = set().union(*map(moves_to_the_home, (delivery, desk, intake, receipts, reconcile, replay, upkeep, watch)))

    assert found == AT_HOME


def test_a_calls_partition_never_changes() -> None:
    ids = ("call-1", "01a19b7c-eb64-76a9-9769-12b22a9fdb0c", "", "ü \ud800")

    assert [partition_of(call_id, 16) for call_id in ids] == [5, 6, 2, 3]


def test_partitions_lie_in_equal_ranges_of_slots() -> None:
    for number in (2, 3, 16, 64):
        names = prefixes("roark", number)
        slots = [slot_of(name) for name in names]
        assert [slot * number // SLOTS for slot in slots] == list(range(number))
    assert prefixes("roark", 4) == ("roark:0.1", "roark:1.3", "roark:2.1", "roark:3.3")
    assert prefixes("roark", 0) == ()
