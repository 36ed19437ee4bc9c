"""The other server messages that one webhook URL receives between the reports.

The types are modelled on the public Vapi OpenAPI document, plus one that nobody knows yet. The weights are made
up: most messages are speech, conversation and status updates.
"""

from typing import Any

from roark_samples.dice import Dice
from roark_samples.moments import MORNING, epoch_ms

_TYPES = {
    "status-update": 12,
    "speech-update": 25,
    "conversation-update": 18,
    "transcript": 10,
    'transcript[transcriptType="final"]': 6,
    "tool-calls": 5,
    "hang": 1,
    "user-interrupted": 4,
    "assistant.started": 2,
    "assistant-request": 1,
    "transfer-update": 1,
    "transfer-destination-request": 1,
    "handoff-destination-request": 1,
    "model-output": 1,
    "voice-input": 1,
    "language-change-detected": 1,
    "phone-call-control": 1,
    "knowledge-base-request": 1,
    "function-call": 1,
    "chat.created": 1,
    "session.created": 1,
    "call.artifact.upload": 1,
    "call.deleted": 1,
    "some-future-type": 1,
}


def other_message(dice: Dice, org_id: str) -> dict[str, Any]:
    """One server message that is no end-of-call report."""
    message_type = dice.weighted(_TYPES)
    morning_ms = epoch_ms(MORNING)
    call = {
        "id": dice.uuid7(morning_ms + dice.randrange(10**7)),
        "orgId": org_id,
        "type": "inboundPhoneCall",
        "status": "in-progress",
    }
    message = {"timestamp": morning_ms, "type": message_type, "call": call}
    return message | _details(dice, message_type)


def _details(dice: Dice, message_type: str) -> dict[str, Any]:
    match message_type:
        case "status-update":
            return {"status": dice.choice(["queued", "ringing", "in-progress", "forwarding", "ended"])}
        case "speech-update":
            return {
                "status": dice.choice(["started", "stopped"]),
                "role": dice.choice(["user", "assistant"]),
                "turn": dice.randrange(20),
            }
        case "conversation-update":
            return {"messages": [_user_message(dice) for _ in range(dice.randint(1, 40))]}
        case "transcript" | 'transcript[transcriptType="final"]':
            transcript_type = "partial" if message_type == "transcript" else "final"
            return {"role": "user", "transcriptType": transcript_type, "transcript": dice.sentence(10)}
        case "tool-calls":
            return {"toolCallList": [_tool_call(dice)]}
        case _:
            return {}


def _user_message(dice: Dice) -> dict[str, Any]:
    return {"role": "user", "message": dice.sentence(12), "time": 1, "secondsFromStart": 1.0}


def _tool_call(dice: Dice) -> dict[str, Any]:
    function = {"name": "check_slot", "arguments": {}}
    return {"id": "call_" + dice.hex_digits(24), "type": "function", "function": function}
