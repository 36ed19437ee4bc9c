"""The lane over partitions learns what the lane of one does: both are led through one story, compared step by step."""

import random

import msgspec
import pytest
import redis
from clocks import Clock

from roark_ledger.flow import FlowRules
from roark_ledger.ids import CallId
from roark_ledger.keys import Keys
from roark_ledger.ledger import Ledger
from roark_ledger.lifecycle import State
from roark_ledger.moves import delivery, intake, upkeep, watch
from roark_ledger.moves.delivery import Bury, Claimed, Defer, Deliver, Held, Outcome, Refuse, Release, Signal
from roark_ledger.moves.intake import Acceptable
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.partitions.placing import PARTITIONS

RULES = FlowRules(per_second=200, burst=40, ceiling=500, adaptive=True, least=10, cooldown_ms=1000)
# What each side says of itself alone: tokens, and turns that partitions keep for themselves.
OWN = {"turn", "late_turn", "last_claim", "listening_until", "at", "probe", "unnamed", "stale", "lease"}
OWN |= {"speed_at", "accepted", "delivered", "accepted_ps", "delivered_ps", "probed_at"}


class Side:
    def __init__(self, client: "redis.Redis", prefix: str, clock: Clock, partitions: int) -> None:
        self.home = Ledger(client, prefix=prefix, clock=clock)
        client.hset(Keys.under(prefix).promises, PARTITIONS, partitions)
        self.ledger = self.home
        if partitions > 1:
            self.ledger = PartedLedger(self.home, lambda name: Ledger(client, prefix=name, clock=clock))
        self.out: list[tuple[Claimed, int]] = []

    def claim(self, wanted: int, now_ms: int) -> tuple[str, int]:
        ask = delivery.claim(wanted=wanted, lease_ms=60_000, listen_ms=0, most_bytes=10**9, rules=RULES)
        claim = self.ledger.run(ask)
        self.out += [(one, now_ms) for one in claim.reports]
        return claim.lane.value, len(claim.reports)

    def settle(self, outcomes: list[Outcome]) -> None:
        ledger = self.ledger
        delivered = [one for one in outcomes if isinstance(one, Deliver)]
        deferred = [one for one in outcomes if isinstance(one, Defer)]
        buried = [one for one in outcomes if isinstance(one, Bury)]
        refused = [one for one in outcomes if isinstance(one, Refuse)]
        released = [one.held for one in outcomes if isinstance(one, Release)]
        if delivered:
            ledger.run(delivery.deliver(delivered, keep_payloads=False, rules=RULES))
        if deferred:
            ledger.run(delivery.defer(deferred, rules=RULES))
        if buried:
            ledger.run(delivery.bury(buried, rules=RULES))
        if refused:
            ledger.run(delivery.refuse(refused, longest_gap_ms=60_000, most_sends=20))
        if released:
            ledger.run(delivery.release(released))

    def lane(self) -> dict[str, str]:
        fields = self.home.client.hgetall(self.home.calls.keys.lane)
        told = {name.decode(): value.decode() for name, value in fields.items()}
        return {
            # Which of the calls are examples depends on the order in which partitions hand them out.
            name: str(msgspec.json.decode(value)["reasons"]) if value.startswith("{") else value
            for name, value in told.items()
            if name not in OWN and not name.startswith(("memory_", "intake_", "promoted_at", "receipts_"))
        }


def said(kind: str, held: Held, took_ms: int) -> Outcome:
    match kind:
        case "good":
            return Deliver(held, "roark-1", b"{}", took_ms)
        case "429":
            return Defer(held, 1500, "http_429", b"{}", Signal.OVERLOAD)
        case "503":
            return Defer(held, 1500, "http_503", b"{}", Signal.BOTH)
        case "500":
            return Defer(held, 1500, "http_500", b"{}", Signal.FAULT)
        case "422":
            return Bury(held, "http_422", b"{}")
        case "released":
            return Release(held)
    return Refuse(held, "http_403", "No permission", b"{}", b"{}", took_ms)


CALM = ["good"] * 40 + ["422"]
ROUGH = ["good"] * 12 + ["503", "503", "500", "429", "422", "released"]
DOWN = ["503"] * 9 + ["500"]
DAYS = ((CALM, 4), (ROUGH, 8), (DOWN, 8), (CALM, 14))
# Which calls are refused depends on the order in which partitions hand them out, so what comes behind may differ.
REFUSED = ((["403"], 8),)


@pytest.mark.parametrize("seed", [2, *(pytest.param(seed, marks=pytest.mark.sweep) for seed in range(10, 16))])
def test_the_lane_is_the_same_at_each_step(real_client: "redis.Redis", prefix: str, clock: Clock, seed: int) -> None:
    story = [answers for answers, steps in (*DAYS * (1 if seed == 2 else 4), *REFUSED) for _ in range(steps)]
    chance = random.Random(seed)
    sides = [Side(real_client, f"{prefix}-{number}", clock, number) for number in (1, 3)]
    accepted, states = 0, set()
    for step, answers in enumerate(story):
        more = chance.choice([0, 5, 20, 60])
        calls = [CallId(f"call-{accepted + place}") for place in range(more)]
        accepted += more
        for side in sides:
            side.ledger.run(upkeep.promote(most=500))
            if calls:
                reports = [Acceptable(one, "print", b"packed") for one in calls]
                side.ledger.run(intake.accept(reports, revisions="record", per_wakeup=64))
        one, many = (side.claim(64, clock.now_ms) for side in sides)
        assert one == many, f"step {step}"
        states.add(one[0])
        clock.advance(chance.randint(30, 300))
        share = chance.choice([0.5, 1.0])
        kinds = [chance.choice(answers) for _ in sides[0].out]
        for side in sides:
            ending = int(len(side.out) * share)
            over, side.out = side.out[:ending], side.out[ending:]
            side.settle(
                [
                    said(kind, Held(each.call_id, each.token), clock.now_ms - since)
                    for (each, since), kind in zip(over, kinds, strict=False)
                ]
            )
        lanes = [side.lane() for side in sides]
        assert lanes[0] == lanes[1], f"step {step}"
    if seed == 2:
        assert {"open", "throttled", "breaker-open"} <= states
        assert lanes[0]["state"] == "held"
    counts = [side.ledger.run(watch.snapshot()).states for side in sides]
    assert counts[0][State.DELIVERED] == counts[1][State.DELIVERED]
