"""The table of legal moves, driven through the real scripts: what it allows happens, and nothing else does."""

from collections.abc import Callable

import redis
from clocks import Clock
from offenders import for_each
from workbench import LEASE_MS, Inventory, Workbench

from roark_ledger.ids import CallId, LeaseToken
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import UNKNOWN, Move, State, after
from roark_ledger.moves.delivery import Held

CALL = "call-1"
# An expired call is to the ledger as one that was never seen.
STATES = [UNKNOWN, *(state.value for state in State if state is not State.EXPIRED)]


def _reap(bench: Workbench, *, deaths: int) -> None:
    bench.clock.advance(LEASE_MS)
    bench.reap(deaths=deaths)


def _lose(bench: Workbench, _: Held) -> None:
    bench.ledger.client.hdel(bench.ledger.calls.keys.payloads, CALL)
    bench.claim()


def _promote(bench: Workbench, _: Held) -> None:
    bench.clock.advance(LEASE_MS)
    bench.promote()


def _expire(bench: Workbench, _: Held) -> None:
    for state in ("dead", "discarded"):
        bench.expire(state, 1, 1)
        bench.clock.advance(1)
        bench.expire(state, 1, 1)


ATTEMPTS: dict[Move, Callable[[Workbench, Held], object]] = {
    Move.ACCEPT: lambda bench, _: bench.accept(CALL, "a"),
    Move.REPLACE: lambda bench, _: bench.accept(CALL, "b"),
    Move.CLAIM: lambda bench, _: bench.claim(),
    Move.DELIVER: lambda bench, one: bench.deliver(one),
    Move.DEFER: lambda bench, one: bench.defer(one),
    Move.BURY: lambda bench, one: bench.bury(one),
    Move.RELEASE: lambda bench, one: bench.release(one),
    Move.REFUSE: lambda bench, one: bench.refuse(one),
    Move.LOSE: _lose,
    Move.RECLAIM: lambda bench, _: _reap(bench, deaths=2),
    Move.POISON: lambda bench, _: _reap(bench, deaths=1),
    Move.PROMOTE: _promote,
    Move.REVISE: lambda bench, _: bench.accept(CALL, "b", revisions="upload"),
    Move.CONFIRM: lambda bench, _: bench.confirm(CALL),
    Move.RESEND: lambda bench, _: bench.resend(CALL),
    Move.EDIT: lambda bench, _: bench.edit(CALL),
    Move.REPLAY: lambda bench, _: bench.replay(CALL),
    Move.SET_ASIDE: lambda bench, _: bench.set_aside(CALL),
    Move.DISCARD: lambda bench, _: bench.discard(CALL),
    Move.RESTORE: lambda bench, _: bench.restore(CALL),
    Move.EXPIRE: _expire,
    Move.ERASE: lambda bench, _: bench.erase(CALL),
}

# One script accepts, replaces and revises: which of them a report calls for is not the sender's to say.
ARRIVALS = {
    Move.ACCEPT: (Move.ACCEPT,),
    Move.REPLACE: (Move.REPLACE, Move.ACCEPT),
    Move.REVISE: (Move.REVISE, Move.REPLACE, Move.ACCEPT),
}
# Of a delivery that Roark did not name.
OF_UNCONFIRMED = {Move.CONFIRM, Move.RESEND}
# What an attempt may touch where its move is not legal: a report that changes no state may still be counted, or kept
# as a revision; a replay job has its number; a call that was never seen may still be barred by its tombstone; a payload
# may get lost.
BOOKKEEPING = {
    **{arrival: {"besides", "revisions", "histories", "counters"} for arrival in ARRIVALS},
    Move.ERASE: {"counters"},
    Move.LOSE: {"payloads"},
    Move.REPLAY: {"counters"},
}


def expected(state: str, move: Move) -> str | None:
    """The state after the move, None where nothing may change."""
    for meant in ARRIVALS.get(move, (move,)):
        if target := after(state, meant):
            return target.value
    return None


def bench_at(client: "redis.Redis", prefix: str) -> Workbench:
    """An empty ledger beside those of the other cases."""
    clock = Clock()
    return Workbench(Ledger(client, prefix=prefix, clock=clock), clock)


def what_counts(inventory: Inventory, move: Move) -> object:
    # Everything else must be as it was, down to the last byte.
    hashes = {name: fields for name, fields in inventory.hashes.items() if name not in BOOKKEEPING.get(move, set())}
    # An erasure is told whether there was something to erase or not: its tombstone bars what may come.
    told = [] if move is Move.ERASE else inventory.logbook
    return hashes, inventory.zsets, inventory.delivered, told


@for_each("move", Move)
@for_each("state", STATES)
def test_a_script_makes_the_moves_of_the_table_and_no_others(
    client: "redis.Redis", prefix: str, state: str, move: Move
) -> None:
    bench = bench_at(client, f"{prefix}-{state}-{move}")
    start = "unconfirmed" if state == "delivered" and move in OF_UNCONFIRMED else state
    one = bench.bring(CALL, start) or Held(CallId(CALL), LeaseToken(1))
    before = bench.inventory()

    ATTEMPTS[move](bench, one)

    target = expected(state, move)
    if target is None:
        assert what_counts(bench.inventory(), move) == what_counts(before, move)
    else:
        assert bench.state(CALL) == (UNKNOWN if target == "expired" else target)
    bench.inventory().check(lost={CALL} if move is Move.LOSE else ())
    assert bench.snapshot().balanced


def test_an_attempt_exists_for_each_move() -> None:
    assert set(ATTEMPTS) == set(Move)


@for_each("state", [state for state in STATES if state != "uploading"])
def test_the_lease_token_zero_holds_no_report(client: "redis.Redis", prefix: str, state: str) -> None:
    bench = bench_at(client, f"{prefix}-{state}")
    bench.bring(CALL, state)
    before = bench.inventory()
    nobody = Held(CallId(CALL), LeaseToken(0))

    results = [settle(nobody) for settle in (bench.deliver, bench.defer, bench.bury, bench.release, bench.renew)]

    assert results == [False] * 5
    assert bench.refuse(nobody) == [False]
    assert bench.inventory() == before
