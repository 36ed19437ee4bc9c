"""What was said in one call, in the three forms a report repeats it.

1. `messages`: Vapi's own, with times; the array stands in the report twice.
2. `openai_messages`: the same turns as `messagesOpenAIFormatted`.
3. `transcript`: the same turns as text; it stands in the report twice.

Known from published reports: a turn's `duration` is in ms in practice, `time` and `endTime` are epoch ms, and
a user turn may carry `metadata.wordLevelConfidence`, some 120 bytes a word: the bulk of a long report.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from roark_samples.dice import Dice, capitalised
from roark_samples.fleet import Assistant


@dataclass(slots=True)
class Conversation:
    """A conversation as it grows, turn by turn."""

    assistant: Assistant
    start_ms: int
    elapsed: float = 0.9  # seconds since the start of the call
    messages: list[dict[str, Any]] = field(default_factory=list)
    openai_messages: list[dict[str, Any]] = field(default_factory=list)
    transcript_lines: list[str] = field(default_factory=list)
    bot_turns: int = 0
    bot_characters: int = 0

    @property
    def transcript(self) -> str:
        """Every turn on its line; empty if nobody spoke."""
        return "".join(line + "\n" for line in self.transcript_lines)

    def moment_ms(self, seconds: float) -> int:
        """So many seconds after the start, as epoch ms."""
        return self.start_ms + int(seconds * 1000)


def silence(assistant: Assistant, start_ms: int) -> Conversation:
    """The conversation of a call that never connected: only the system prompt."""
    talk = Conversation(assistant, start_ms)
    talk.messages.append({"role": "system", "message": assistant.prompt, "time": start_ms, "secondsFromStart": 0})
    talk.openai_messages.append({"role": "system", "content": assistant.prompt})
    return talk


def converse(
    dice: Dice, assistant: Assistant, start_ms: int, *, seconds: float, word_confidence: bool, foreign: float
) -> Conversation:
    """Bot and user in turns, the bot first, until the call has lasted `seconds`."""
    talk = silence(assistant, start_ms)
    in_seconds = dice.random() < 0.5
    while talk.elapsed < seconds:
        _bot_turn(dice, talk, foreign)
        if assistant.tool_names and dice.random() < 0.07:
            _tool_call(dice, talk)
        if talk.elapsed < seconds:
            _user_turn(dice, talk, word_confidence, in_seconds, foreign)
    return talk


def _bot_turn(dice: Dice, talk: Conversation, foreign: float) -> None:
    if talk.bot_turns == 0:
        text = talk.assistant.first_message
    else:
        text = dice.sentence(int(dice.lognormal(17, 0.6, 2, 90)), foreign)
    duration = max(0.4, len(text.split()) / 2.7)
    talk.messages.append({**_spoken("bot", text, talk, duration), "source": ""})
    talk.openai_messages.append({"role": "assistant", "content": text})
    talk.transcript_lines.append("AI: " + text)
    talk.bot_turns += 1
    talk.bot_characters += len(text)
    talk.elapsed += duration + dice.uniform(0.3, 1.4)


def _user_turn(dice: Dice, talk: Conversation, word_confidence: bool, in_seconds: bool, foreign: float) -> None:
    words = dice.words(int(dice.lognormal(8, 0.9, 1, 120)), foreign)
    text = capitalised(" ".join(words)) + "."
    duration = max(0.3, len(words) / 2.5)
    message = _spoken("user", text, talk, duration)
    if word_confidence:
        score = _scored_in_seconds if in_seconds else _scored_in_epoch_ms
        message["metadata"] = {"wordLevelConfidence": score(dice, words, talk, duration / len(words))}
    talk.messages.append(message)
    talk.openai_messages.append({"role": "user", "content": text})
    talk.transcript_lines.append("User: " + text)
    talk.elapsed += duration + dice.uniform(0.2, 1.8)


def _tool_call(dice: Dice, talk: Conversation) -> None:
    """The bot calls a tool and gets its answer; neither is in the transcript."""
    name, call_id = dice.choice(talk.assistant.tool_names), "call_" + dice.hex_digits(24)
    arguments = json.dumps({"id": dice.hex_digits(8), "date": f"2026-11-{dice.randint(3, 28):02d}"})
    call = {"type": "function", "id": call_id, "function": {"name": name, "arguments": arguments}}
    talk.messages.append({"toolCalls": [call], "role": "tool_calls", "message": "", **_now(talk)})
    talk.openai_messages[-1]["tool_calls"] = [call]
    talk.elapsed += dice.uniform(0.4, 3.0)
    result = _free_slots(dice)
    talk.messages.append(
        {
            "role": "tool_call_result",
            **_now(talk),
            "name": name,
            "result": result,
            "metadata": {},
            "toolCallId": call_id,
        }
    )
    talk.openai_messages.append({"role": "tool", "tool_call_id": call_id, "content": result})


def _free_slots(dice: Dice) -> str:
    count = dice.randint(1, 6)
    slots = [
        {"slot": f"2026-11-{dice.randint(3, 28):02d}T{hour:02d}:00:00Z", "note": dice.sentence(5)}
        for hour in dice.sample(range(8, 18), count)
    ]
    return json.dumps({"ok": True, "results": slots})


def _spoken(role: str, text: str, talk: Conversation, duration: float) -> dict[str, Any]:
    return {
        "role": role,
        "message": text,
        "time": talk.moment_ms(talk.elapsed),
        "endTime": talk.moment_ms(talk.elapsed + duration),
        "secondsFromStart": round(talk.elapsed, 3),
        "duration": int(duration * 1000),
    }


def _now(talk: Conversation) -> dict[str, Any]:
    return {"time": talk.moment_ms(talk.elapsed), "secondsFromStart": round(talk.elapsed, 3)}


def _scored_in_seconds(dice: Dice, words: list[str], talk: Conversation, word_seconds: float) -> list[dict[str, Any]]:
    """Word confidences as Deepgram Nova gives them: times in seconds from the start of the call."""
    scored, start = [], talk.elapsed
    for word in words:
        end = start + word_seconds
        scored.append(
            {
                "word": word.lower(),
                "start": round(start, 2),
                "end": round(end, 2),
                "confidence": _confidence(dice, digits=7),
                "punctuated_word": word,
            }
        )
        start = end
    return scored


def _scored_in_epoch_ms(dice: Dice, words: list[str], talk: Conversation, word_seconds: float) -> list[dict[str, Any]]:
    """Word confidences as Deepgram Flux gives them: times in epoch ms, and a language."""
    scored, start = [], talk.elapsed
    for word in words:
        end = start + word_seconds
        scored.append(
            {
                "word": word.lower(),
                "start": float(talk.moment_ms(start)),
                "end": talk.start_ms + round(end * 1000, 2),
                "confidence": _confidence(dice, digits=4),
                "language": "",
                "punctuated_word": word,
            }
        )
        start = end
    return scored


def _confidence(dice: Dice, digits: int) -> float:
    """One word in five is certain; the others are mostly nearly so."""
    return 1 if dice.random() < 0.2 else round(1 - dice.random() ** 3 * 0.5, digits)
