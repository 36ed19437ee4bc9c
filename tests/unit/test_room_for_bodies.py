"""How much the webhook reads where memory is short, and what it says to who sends more."""

import json

import pytest

from roark_producer.webhook import answers
from roark_producer.webhook.door.body import Bodies, Trouble, room_for_bodies

MB = 1_000_000


@pytest.mark.parametrize(
    ("most_mb", "usable_mb", "room_mb"),
    [(25, 20_000, 256), (200, 20_000, 400), (25, 270, 47.5), (25, 160, 20), (25, 50, 1)],
)
def test_bodies_take_what_the_limit_leaves_and_no_more_than_is_needed(
    most_mb: int, usable_mb: int, room_mb: float
) -> None:
    assert room_for_bodies(most_mb * MB, usable_mb * MB) == room_mb * MB


async def test_a_body_for_which_there_is_no_memory_is_refused_unread_and_in_words() -> None:
    bodies = Bodies(most_bytes=25 * MB, seconds=1, usable=160 * MB)

    async def receive() -> dict[str, object]:
        raise AssertionError("it is not read")

    found = await bodies.read([(b"content-length", b"24000000")], receive)  # type: ignore[arg-type]

    assert found is Trouble.TOO_LARGE
    answer = answers.trouble(found, most_bytes=bodies.most_bytes, wanted=25 * MB)
    assert (answer.status, json.loads(answer.body)) == (
        413,
        {"error": "too-large", "most_bytes": 20 * MB, "reason": "the webhook is out of memory for more bodies"},
    )
