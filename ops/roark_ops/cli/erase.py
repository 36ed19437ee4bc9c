"""`roark-ingest erase`: remove everything that is known of a call."""

from roark_ops.cli.options import AsJson, CallIdArgument, Yes
from roark_ops.cli.output import print_json, print_line
from roark_ops.cli.running import confirm
from roark_ops.cli.words import shown


def erase(call_id: CallIdArgument, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Remove all that is known of a call, and refuse later reports of it. Cannot be undone.

    What stays is a salted hash of the id. What Roark has, and files that were exported, are not touched.
    """
    import secrets

    from roark_ops.access import Access
    from roark_producer import operations

    with Access.from_env() as access:
        confirm(f"Erase call {shown(call_id)} for good?", yes=yes)
        before = access.run_durably(operations.erase(call_id, salt=secrets.token_hex(16)))
    if as_json:
        print_json({"call_id": call_id, "result": "erased", "state_before": before})
        return
    match before:
        case "erased":
            print_line(f"Call {shown(call_id)} was erased before.")
        case "unknown":
            print_line(f"Call {shown(call_id)} was never seen; a report of it that comes later is refused.")
        case "uploading":
            print_line(f"Call {shown(call_id)} is erased. Its upload was under way, so Roark may have it.")
        case "delivered":
            print_line(f"Call {shown(call_id)} is erased here; Roark has had it.")
        case _:
            print_line(f"Call {shown(call_id)} is erased; it was {before}.")
