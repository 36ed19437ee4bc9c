"""A ledger of several partitions on one server, for tests: home, partitions, and who carries out plans on them."""

import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

import redis

from roark_ledger.ledger import Ledger
from roark_ledger.moves.goes import HOME
from roark_ledger.partitions.lane import Asked, Plan
from roark_ledger.partitions.ledger import PartedLedger
from roark_ledger.scripts import script, script_names
from roark_ops.partitioning.mover import Mover

T = TypeVar("T")


def partition_of(call_id: str, partitions: int) -> int:
    return zlib.crc32(call_id.encode()) % partitions


class Partitioned:
    """Counts which scripts were run; a place in `away` raises what it is told."""

    def __init__(self, client: "redis.Redis", prefix: str, partitions: int, clock: Callable[[], int]) -> None:
        self.home = Ledger(client, prefix=prefix, clock=clock)
        self.parts = [Ledger(client, prefix=f"{prefix}:{number}", clock=clock) for number in range(partitions)]
        for name in script_names():
            client.script_load(script(name).text)
        self.ran: Counter[str] = Counter()
        self.away: dict[int, Exception] = {}

    def at(self, where: int) -> Ledger:
        return self.home if where == HOME else self.parts[where]

    def of(self, call_id: str) -> Ledger:
        return self.parts[partition_of(call_id, len(self.parts))]

    def ask(self, asked: Asked) -> list[Any]:
        """Ask one round, all in one go: they are all on one server."""
        pipeline = self.home.client.pipeline(transaction=False)
        sent = [(place, operation) for place, (where, operation) in enumerate(asked) if where not in self.away]
        for place, operation in sent:
            pipeline.execute_command(*self.at(asked[place][0]).calls.evalsha(operation))
        replies = pipeline.execute() if sent else []
        self.ran.update(operation.script for _, operation in sent)
        answers: list[Any] = [self.away.get(where) for where, _ in asked]
        for (place, operation), reply in zip(sent, replies, strict=True):
            answers[place] = operation.parse(reply)
        return answers

    def carry_out(self, plan: Plan[T]) -> T:
        """Do what a plan says, at once."""
        answers: list[Any] | None = None
        while True:
            try:
                asked = plan.send(answers)  # type: ignore[arg-type] # a generator is begun by sending it nothing
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            answers = self.ask(asked)


def left_half_way(whole: Ledger, partitions: int) -> None:
    """Begin to split a ledger, and move no call."""

    def part(prefix: str) -> Ledger:
        return Ledger(whole.client, prefix=prefix, clock=whole.calls.clock)

    mover = Mover.of(PartedLedger(part(whole.calls.prefix), part), partitions)
    mover._prepare()
    mover._begin(b'{"by":"ada"}')
