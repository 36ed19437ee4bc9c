"""The way to Roark, stopped and opened by a person; and which of Roark's two ways in reports take."""

from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, desk, watch
from roark_ledger.records.logbook import doer
from roark_ledger.routes import Route
from roark_ops.access import Access
from roark_ops.desk.acting import acting

WAYS: dict[str, Route | None] = {"vapi": "vapi", "call": "call", "setting": None}
"""What a person calls the ways in, and what each worker's setting is called."""


def hold_uploads(access: Access, *, by: str, reason: str) -> bool:
    """Stop uploads until a person resumes them; return whether they were running."""
    return access.ledger.run(delivery.hold(by=acting(access.ledger, by), reason=reason))


def resume_uploads(access: Access, *, by: str, reason: str) -> tuple[bool, int]:
    """Continue uploading at once, whoever stopped it; return whether it was stopped, and how many reports are ready."""
    was_held = access.ledger.run(delivery.resume(by=acting(access.ledger, by), reason=reason))
    if ready := access.ledger.run(watch.snapshot()).states[State.READY]:
        access.wake(ready)
    return was_held, ready


def switch_way(access: Access, way: Route | None, *, by: str, reason: str) -> str:
    """Send reports by this way from now on, None: as each worker is set; return the one that was chosen before."""
    return access.ledger.run(desk.switch_route(way, who=doer(acting(access.ledger, by), reason)))
