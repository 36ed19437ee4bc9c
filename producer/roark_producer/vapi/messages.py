"""The messages that Vapi sends to a server beside the end-of-call report: what may be ignored. Written once, here.

Source: Vapi's OpenAPI document (VapiAI/docs, `fern/apis/api/openapi.json`, August 2026): the members of
`ServerMessage.message`, and the values of `assistant.serverMessages`. Vapi adds to them without notice: a type that is
not among these is kept, since nobody knows what it holds.
"""

END_OF_CALL_REPORT = "end-of-call-report"

NEED_AN_ANSWER = frozenset(
    {
        "assistant-request",
        "call.endpointing.request",
        "campaign.predial",
        "function-call",
        "handoff-destination-request",
        "knowledge-base-request",
        "tool-calls",
        "transfer-destination-request",
        "voice-request",
    }
)
"""Vapi waits for what the receiver says to these."""

OTHER_MESSAGES = NEED_AN_ANSWER | {
    "assistant.speechStarted",
    "assistant.started",
    "call.artifact.upload",
    "call.delete.failed",
    "call.deleted",
    "chat.created",
    "chat.deleted",
    "conversation-update",
    "hang",
    "language-change-detected",
    "language-changed",
    "model-output",
    "phone-call-control",
    "session.created",
    "session.deleted",
    "session.updated",
    "speech-update",
    "status-update",
    "transcript",
    'transcript[transcriptType="final"]',
    "transfer-update",
    "user-interrupted",
    "voice-input",
}

CALL_TYPES = frozenset({"inboundPhoneCall", "outboundPhoneCall", "webCall", "vapi.websocketCall"})
"""`type` of a Call object, as `GET /call` returns them (schema Call)."""

CALL_STATUSES = frozenset(
    {"scheduled", "queued", "ringing", "in-progress", "forwarding", "ended", "not-found", "deletion-failed"}
)
"""`status` of a Call object."""
