"""The organisation and its few assistants.

Reports of one organisation share their assistants, as in life: this is what makes them compress so well
together. Which keys an assistant has follows the public Vapi OpenAPI document.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from roark_samples.dice import Dice
from roark_samples.moments import MORNING, iso

_MODELS = (
    ("openai", "gpt-4o"),
    ("openai", "gpt-4.1-mini"),
    ("anthropic", "claude-sonnet-4"),
    ("google", "gemini-2.0-flash"),
)
_VOICES = (("11labs", "eleven_turbo_v2_5"), ("cartesia", "sonic-2"), ("vapi", "Elliot"), ("openai", "tts-1"))
_TRANSCRIBERS = (
    ("deepgram", "nova-3"),
    ("deepgram", "flux-general-en"),
    ("assembly-ai", "universal"),
    ("gladia", "fast"),
)
_TOOL_VERBS = ("check", "get", "create", "update", "cancel")
_TOOL_NOUNS = ("appointment", "order", "account", "slot", "ticket")
_TOOL_PARAMETERS = ("date", "time", "name", "reason", "email", "notes", "amount")


@dataclass(frozen=True, slots=True)
class Assistant:
    """One assistant: its document as reports carry it, and what a conversation needs of it."""

    document: dict[str, Any]
    prompt: str
    first_message: str
    tool_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Fleet:
    """One organisation and its assistants."""

    org_id: str
    assistants: tuple[Assistant, ...]


def make_fleet(dice: Dice) -> Fleet:
    """An organisation with six assistants."""
    org_id = dice.uuid4()
    return Fleet(org_id, tuple(_assistant(dice, org_id) for _ in range(6)))


def _assistant(dice: Dice, org_id: str) -> Assistant:
    model_provider, model = dice.choice(_MODELS)
    voice_provider, voice = dice.choice(_VOICES)
    transcriber_provider, transcriber = dice.choice(_TRANSCRIBERS)
    prompt = _system_prompt(dice)
    created = MORNING - timedelta(days=dice.randint(20, 300))
    tools = [_tool(dice, org_id, iso(created)) for _ in range(dice.choice([0, 1, 2, 3, 5, 8]))]
    document: dict[str, Any] = {
        "id": dice.uuid4(),
        "orgId": org_id,
        "name": "Example " + dice.sentence(2)[:24],
        "voice": {
            "model": voice,
            "voiceId": dice.hex_digits(20),
            "provider": voice_provider,
            "stability": 0.5,
            "similarityBoost": 0.75,
        },
        "createdAt": iso(created),
        "updatedAt": iso(created + timedelta(days=9, seconds=77)),
        "model": {
            "model": model,
            "toolIds": [tool["id"] for tool in tools],
            "messages": [{"role": "system", "content": prompt}],
            "provider": model_provider,
            "temperature": 0.3,
            "tools": tools,
        },
        "firstMessage": dice.sentence(14),
        "voicemailMessage": "Please call back when you're available.",
        "endCallMessage": "Goodbye.",
        "transcriber": {"model": transcriber, "language": "en", "provider": transcriber_provider},
        "clientMessages": [
            "transcript",
            "hang",
            "metadata",
            "tool-calls",
            "transfer-update",
            "user-interrupted",
            "status-update",
        ],
        "serverMessages": ["status-update", "end-of-call-report", "tool-calls"],
        "analysisPlan": {"summaryPlan": {"enabled": True}, "successEvaluationPlan": {"enabled": True}},
        "server": {"url": "https://hooks.example.com/vapi", "timeoutSeconds": 20},
        "compliancePlan": {"pciEnabled": False, "hipaaEnabled": False},
        "variableValues": {},
    }
    return Assistant(
        document=document,
        prompt=prompt,
        first_message=document["firstMessage"],
        tool_names=tuple(tool["function"]["name"] for tool in tools),
    )


def _system_prompt(dice: Dice) -> str:
    """Sections of bullet points: 3500 characters in the median, 250 to 20 000."""
    length = int(dice.lognormal(3500, 0.7, 250, 20000))
    sections = ""
    while len(sections) < length:
        sections += f"\n\n## {dice.sentence(3)}\n"
        sections += "".join(f"- {dice.sentence(dice.randint(6, 18))}\n" for _ in range(dice.randint(3, 7)))
    return ("You are a voice assistant for Example Services. Be brief and friendly." + sections)[:length]


def _tool(dice: Dice, org_id: str, created: str) -> dict[str, Any]:
    noun = dice.choice(_TOOL_NOUNS)
    name = f"{dice.choice(_TOOL_VERBS)}_{noun}"
    return {
        "id": dice.uuid4(),
        "createdAt": created,
        "updatedAt": created,
        "type": "function",
        "function": {
            "name": name,
            "description": dice.sentence(dice.randint(8, 25)),
            "parameters": {"type": "object", "required": ["id"], "properties": _tool_parameters(dice)},
        },
        "messages": [{"type": "request-start", "blocking": False}],
        "orgId": org_id,
        # Real reports may carry server.secret and headers: a forwarder should be able to redact them.
        "server": {
            "url": "https://hooks.example.com/tools/" + name,
            "timeoutSeconds": 20,
            "secret": "placeholder-not-a-secret",
        },
    }


def _tool_parameters(dice: Dice) -> dict[str, Any]:
    optional_count = dice.randint(0, 4)
    return {
        name: {
            "type": dice.choice(["string", "number"]),
            "description": dice.sentence(dice.randint(4, 12)),
        }
        for name in ["id", *dice.sample(_TOOL_PARAMETERS, optional_count)]
    }
