"""Several plans at once, sync or not: in each round all that they ask goes out together, by where it goes."""

from collections.abc import Generator, Sequence
from typing import Any

from roark_ledger.moves.goes import Claims, Refuses, Renews, Settles
from roark_ledger.moves.operation import Operation
from roark_ledger.partitions.lane import Asked, Permitted
from roark_ledger.partitions.plans import plan


def are_about_permits(operations: Sequence[Operation[Any]]) -> bool:
    """Whether any of them uses or changes what a process knows of its permits."""
    return any(isinstance(each.goes, Claims | Settles | Refuses | Renews) for each in operations)


class PlanRounds:
    """Carries out several plans at once: what they ask in the same round goes out together, by where it goes."""

    def __init__(self, operations: Sequence[Operation[Any]], permitted: Permitted, *, is_moving: bool) -> None:
        self.answers: list[Any] = [None] * len(operations)
        self._plans: dict[int, Generator[Asked, list[Any], Any]] = {}
        self._asked: dict[int, Asked] = {}
        for number, operation in enumerate(operations):
            self._plans[number] = plan(operation, permitted, is_moving=is_moving)
            self._go_on(number, None)

    def asked(self) -> dict[int, list[Operation[Any]]]:
        """Return the operations of this round by where they go; nothing once all plans are done."""
        found: dict[int, list[Operation[Any]]] = {}
        for asked in self._asked.values():
            for where, operation in asked:
                found.setdefault(where, []).append(operation)
        return found

    def answered(self, answers: dict[int, list[Any]]) -> None:
        """Take the answers of a round, in the order of `asked`."""
        left = {where: iter(some) for where, some in answers.items()}
        for number, asked in list(self._asked.items()):
            self._go_on(number, [next(left[where]) for where, _ in asked])

    def _go_on(self, number: int, answers: list[Any] | None) -> None:
        asked: Asked = []
        try:
            while not asked:
                # A generator is begun by sending it nothing.
                asked, answers = self._plans[number].send(answers), []  # type: ignore[arg-type]
            self._asked[number] = asked
        except StopIteration as end:
            self._asked.pop(number, None)
            self.answers[number] = end.value
