"""The word lists a made-up call is spoken and ended with.

The English words are drawn by a Zipf-like law, because words drawn evenly compress unlike speech. The foreign
words hold what breaks naive text handling: combining marks, a joined emoji, text that turns
direction, a line separator that is no newline, characters outside the basic plane.
"""
# ruff: noqa: RUF001, SIM905 - words of many scripts, read best as running text

from itertools import accumulate

WORDS = (
    "the to you I a and of that is it for in my on we can have do me be this your what not are with so "
    "just no yes okay at was if but one would like there time call up know get need about will as they "
    "all from when how could out an don't I'm please thank thanks right now good see right here then well "
    "let think sure appointment today tomorrow morning afternoon week Monday Tuesday Wednesday Thursday "
    "Friday number name phone address email order account balance payment card bill office doctor dentist "
    "technician visit schedule reschedule cancel confirm available slot open close hour minute day month "
    "last next first second two three four five six seven eight nine ten twenty thirty forty problem "
    "issue question help check look system record update change send message text verify information "
    "detail reason service product delivery package shipping return refund price cost insurance plan "
    "policy claim coverage vehicle car house kitchen water heater leak repair install roof window door "
    "garden cleaning table reservation party guest dinner lunch menu allergy room hotel flight booking "
    "ticket train station street avenue north south east west hello hi hey bye goodbye sorry pardon again "
    "repeat speak slowly louder hear understand mean exactly maybe probably actually really very much "
    "little more less before after during until because although however also still already yet soon "
    "later early late quickly usually sometimes never always often once twice manager supervisor agent "
    "representative department support sales billing technical customer company business home work family "
    "husband wife mother father son daughter friend neighbor people person someone something anything "
    "nothing everything somewhere another different same other each every both either great fine perfect "
    "excellent wonderful terrible awful difficult easy simple quick hard important urgent new old big "
    "small long short high low hot cold red blue green black white left front back side top bottom start "
    "stop begin finish continue wait hold stay leave come go take give make put keep find lose bring buy "
    "pay sell ask tell say talk listen read write spell type click press enter choose pick decide agree "
    "prefer interested certain possible necessary correct wrong true false ready busy free full empty "
    "broken working website online internet application password code digit letter zip state county city "
    "country area region"
).split()

WORD_WEIGHTS = list(accumulate(1.0 / (rank + 3.0) for rank in range(len(WORDS))))

FOREIGN_WORDS = (
    "café naïve señor mañana übermäßig Straße façade œuvre Łódź Žižek Ångström İstanbul "
    "Здравствуйте спасибо запись приём こんにちは 予約 ありがとう 你好 谢谢 预约 안녕하세요 "
    "감사합니다 नमस्ते धन्यवाद مرحبا شكرا موعد שלום תודה สวัสดี ขอบคุณ Ελληνικά "
    "👍 🙏🏽 👩\u200d👩\u200d👧 ☎️ e\u0301 \u202eRTL\u202c \u2028 \u00a0 \ufeff 𝔘𝔫𝔦"
).split(" ")

ENDED_REASONS = {
    "customer-ended-call": 52,
    "assistant-ended-call": 22,
    "silence-timed-out": 6,
    "voicemail": 6,
    "assistant-forwarded-call": 4,
    "exceeded-max-duration": 2,
    "customer-busy": 1,
    "assistant-said-end-call-phrase": 3,
    "twilio-failed-to-connect-call": 1,
    "call.in-progress.error-assistant-did-not-receive-customer-audio": 2,
    "call.in-progress.error-providerfault-openai-llm-failed": 1,
}

NOT_CONNECTED_REASONS = (
    "customer-did-not-answer",
    "customer-busy",
    "twilio-failed-to-connect-call",
    "call.start.error-get-transport",
    "voicemail",
)
