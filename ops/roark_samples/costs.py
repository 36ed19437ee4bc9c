"""What a call cost: the total, its breakdown, and the list of charges, as a report states them."""

from typing import Any

from roark_samples.call import Call

_ANALYSES = ("summary", "structuredData", "successEvaluation", "structuredOutput")
_ANALYSIS_COSTS = ("", "PromptTokens", "CompletionTokens", "CachedPromptTokens")


def costs_of(call: Call) -> dict[str, Any]:
    """The report's `cost`, `costBreakdown` and `costs`, in US dollars."""
    prompt_tokens = 400 + call.talk.bot_turns * 900
    completion_tokens = 40 + call.talk.bot_characters // 4
    transcriber = call.minutes * 0.0106
    model = prompt_tokens * 2.5e-6 + completion_tokens * 1e-5
    voice = call.talk.bot_characters * 5e-5
    vapi = call.minutes * 0.05
    total = round(transcriber + model + voice + vapi, 4)
    document = call.assistant.document
    return {
        "cost": total,
        "costBreakdown": {
            "stt": round(transcriber, 4),
            "llm": round(model, 4),
            "tts": round(voice, 4),
            "vapi": round(vapi, 4),
            "chat": 0,
            "transport": 0,
            "total": total,
            "llmPromptTokens": prompt_tokens,
            "llmCompletionTokens": completion_tokens,
            "llmCachedPromptTokens": 0,
            "ttsCharacters": call.talk.bot_characters,
            "voicemailDetectionCost": 0,
            "knowledgeBaseCost": 0,
            "analysisCostBreakdown": {analysis + cost: 0 for analysis in _ANALYSES for cost in _ANALYSIS_COSTS},
        },
        "costs": [
            {
                "type": "transcriber",
                "transcriber": _only(document["transcriber"], "provider", "model"),
                "minutes": call.seconds / 60,
                "cost": transcriber,
            },
            {
                "type": "model",
                "model": _only(document["model"], "provider", "model"),
                "promptTokens": prompt_tokens,
                "completionTokens": completion_tokens,
                "cachedPromptTokens": 0,
                "cost": model,
            },
            {
                "type": "voice",
                "voice": _only(document["voice"], "provider", "voiceId", "model"),
                "characters": call.talk.bot_characters,
                "cost": voice,
            },
            {"type": "vapi", "subType": "normal", "minutes": call.minutes, "cost": vapi},
            {
                "type": "analysis",
                "analysisType": "summary",
                "model": {"provider": "google", "model": "gemini-2.5-flash"},
                "promptTokens": 147,
                "completionTokens": 35,
                "cost": 4.305e-05,
            },
        ],
    }


def _only(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: document[key] for key in keys}
