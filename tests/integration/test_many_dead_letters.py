"""A hundred thousand dead letters: found, paged and grouped in seconds, with Redis free for others in between."""

import os
import random
from collections.abc import Callable, Iterator
from time import monotonic, process_time

import msgspec
import pytest
from redis import Redis
from servers import running

from roark_ledger.ids import CallId
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake
from roark_ledger.moves.delivery import Bury, Held
from roark_ledger.moves.intake import Acceptable
from roark_ledger.packing import pack
from roark_ledger.server.connection import connect
from roark_ops import DeadLetters
from roark_ops.desk.finding import Filter
from roark_ops.desk.replays import Replays
from roark_ops.mending.editing import read_settings

pytestmark = [pytest.mark.many, pytest.mark.timeout(900)]

MANY, ASSISTANTS, TENANTS = 100_000, 9, 50
PACKED_BYTES = 1_000
AT_ONCE = 500
LONG_MS = 10
# Pages of two hundred, with some to spare; a preview asks which jobs have the letters, and looks at calls by hundreds.
MOST_CALLS = MANY // 50
# What a person may wait for an answer. Groups took 3.2 to 4.4 s, a preview 2.3 to 3.1, one of call IDs 3.5 to 4.1, the
# more the busier the machine, where a second of CPU does less; an export, which unpacks and hashes each report, 4.4 to
# 6.4, so it gets more.
MOST_SECONDS = 5


@pytest.fixture(scope="module")
def client() -> Iterator["Redis"]:
    with running() as server, connect(server.url) as client:
        client.config_set("appendfsync", "no")
        yield client


@pytest.fixture(scope="module")
def ledger(client: "Redis") -> Ledger:
    ledger = Ledger(client, prefix="many")
    for start in range(0, MANY, AT_ONCE):
        reports = [report(number) for number in range(start, start + AT_ONCE)]
        ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
        claim = delivery.claim(wanted=AT_ONCE, lease_ms=90_000, listen_ms=0, most_bytes=10**9)
        ledger.run(delivery.bury([death(Held(one.call_id, one.token)) for one in ledger.run(claim).reports]))
    return ledger


def report(number: int) -> Acceptable:
    properties = b'{"tenant":"t%d","campaign":"spring"}' % (number % TENANTS)
    payload = b'{"call":{"assistantId":"%b"},"transcript":"%b"}' % (assistant(number).encode(), noise(PACKED_BYTES))
    call_id = CallId(f"0193b2c4-6f1d-7c3e-9a55-{number:012d}")
    return Acceptable(call_id, "print", pack(payload, properties), 1 + number % 2)


def assistant(number: int) -> str:
    return f"A{number % ASSISTANTS}"


def noise(size: int) -> bytes:
    return os.urandom(size).hex().encode()


def death(held: Held) -> Bury:
    """Return the end of a report. One in ten has no assistant noted, as when its worker died with it."""
    number = int(held.call_id[-12:])
    detail: dict[str, object] = {
        "attempt": 1,
        "ms": 41,
        "status": 422,
        "reason": "http_422",
        "message": f"call {held.call_id} is {random.uniform(1, 900):.3f} s long",
    }
    if number % 10:
        detail["assistant"] = assistant(number)
    return Bury(held, "http_422", msgspec.json.encode(detail))


def measured(client: "Redis", name: str, action: Callable[[], int], most_seconds: int = MOST_SECONDS) -> int:
    """Do something and return what it counts; demand that it takes seconds, and that no command keeps Redis long.

    By CPU, ours and Redis's together: the clock goes on while a busy machine lets both wait.
    """
    client.config_resetstat()
    client.config_set("slowlog-log-slower-than", 1000 * LONG_MS)
    client.slowlog_reset()
    cpu_before, began, ours_before = cpu_seconds(client), monotonic(), process_time()
    found = action()
    ours, theirs = process_time() - ours_before, cpu_seconds(client) - cpu_before
    calls = client.info("commandstats")["cmdstat_evalsha"]["calls"]
    busy_ms = 1000 * theirs / calls
    print(
        f"{name}: {found} in {monotonic() - began:.1f} s, {ours:.1f} s of CPU here and {theirs:.1f} s of Redis's; "
        f"{calls} commands of {busy_ms:.2f} ms of Redis's CPU in the mean, {client.slowlog_len()} took over "
        f"{LONG_MS} ms by the clock"
    )
    # All pages cost much the same.
    assert busy_ms < LONG_MS / 2
    assert calls < MOST_CALLS
    assert ours + theirs < most_seconds
    return found


def cpu_seconds(client: "Redis") -> float:
    found = client.info("cpu")
    return float(found["used_cpu_user"]) + float(found["used_cpu_sys"])


CHOSEN = [
    (Filter(), MANY),
    (Filter(reasons=("http_4*",)), MANY),
    (Filter(groups=("zz",)), 0),
    (Filter(assistants=("A0",)), MANY // ASSISTANTS + 1),
    (Filter(properties=(("tenant", "t7"),)), MANY // TENANTS),
    (Filter(text="t49"), MANY // TENANTS),
    (Filter(older_than_ms=86_400_000), 0),
]


@pytest.mark.parametrize(("chosen", "number"), CHOSEN, ids=[chosen.in_words() for chosen, _ in CHOSEN])
def test_they_are_found_in_seconds(client: "Redis", ledger: Ledger, chosen: Filter, number: int) -> None:
    desk = DeadLetters(ledger, by="ada")
    assert measured(client, chosen.in_words(), lambda: sum(1 for _ in desk.find(chosen))) == number


def test_the_first_page_comes_at_once_and_pages_miss_and_double_nothing(client: "Redis", ledger: Ledger) -> None:
    desk = DeadLetters(ledger, by="ada")
    assert measured(client, "first page", lambda: len(desk.page(limit=50).letters)) == 50
    seen: list[str] = []
    page = desk.page(limit=7_001)
    seen += [letter.call_id for letter in page.letters]
    while page.following:
        page = desk.page(limit=7_001, behind=page.following)
        seen += [letter.call_id for letter in page.letters]
    assert len(seen) == len(set(seen)) == MANY


def test_they_are_grouped_in_seconds(client: "Redis", ledger: Ledger) -> None:
    groups = []

    def group() -> int:
        groups.extend(DeadLetters(ledger, by="ada").groups())
        return len(groups)

    assert measured(client, "groups", group) == 1
    assert (groups[0].count, groups[0].shared[0].value) == (MANY, "spring")


def test_they_are_exported_in_seconds(client: "Redis", ledger: Ledger) -> None:
    with open(os.devnull, "wb") as nowhere:
        desk = DeadLetters(ledger, by="ada")
        assert measured(client, "export", lambda: desk.export(nowhere).letters, 7) == MANY


def test_a_replay_of_all_is_previewed_in_seconds(client: "Redis", ledger: Ledger) -> None:
    replays = Replays(ledger, by="ada")
    assert measured(client, "preview", lambda: len(replays.preview(Filter()).letters)) == MANY
    names = [letter.call_id for letter in DeadLetters(ledger, by="ada").find()]
    assert measured(client, "preview of call ids", lambda: len(replays.preview_calls(names).letters)) == MANY


def test_an_edit_of_a_group_is_rehearsed_in_seconds(client: "Redis", ledger: Ledger) -> None:
    desk = DeadLetters(ledger, by="ada")
    patch = read_settings(["endedAt=2026-01-31T10:00:00Z"])
    names = desk.freeze()[: MANY // 10]
    assert measured(client, "edit", lambda: sum(1 for _ in desk.edit(names, patch, dry_run=True))) == len(names)


def test_all_are_discarded_and_restored_with_redis_free_for_others_in_between(client: "Redis", ledger: Ledger) -> None:
    desk = DeadLetters(ledger, by="ada")
    assert measured(client, "discard", lambda: len(desk.discard(desk.freeze())), 14) == MANY
    names = desk.freeze(state=State.DISCARDED)
    assert measured(client, "restore", lambda: len(desk.restore(names)), 14) == MANY
