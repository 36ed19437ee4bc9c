"""Roark's two ways in, by the names that the setting, the ledger and the commands give them."""

from typing import Literal

Route = Literal["vapi", "call"]
"""`vapi`: POST /v1/vapi/call takes Vapi's reports as they are. `call`: POST /v1/call wants them mapped."""


def path_of(route: str) -> str:
    """Return the request by which people know a way in."""
    return "POST /v1/call" if route == "call" else "POST /v1/vapi/call"


BY_EXTERNAL_ID = "by-external-id"
"""What stands for Roark's id of a call where Roark said that it has one with our externalId, and did not name it."""
