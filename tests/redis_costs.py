"""What each command costs Redis, in CPU of its main thread; by the clock a busy machine would count as well."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.client import Pipeline

from roark_ledger.scripts import script, script_names

Costs = dict[str, list[float]]
"""Milliseconds by command; a script counts by its name, and a pipeline as one command of many names."""


@contextmanager
def costs_of(client: "Redis") -> Iterator[Costs]:
    """Measure each command that this process sends while the block lasts. Nobody else may send any."""
    schedule = Path(f"/proc/{client.info('server')['process_id']}/schedstat")
    names = {script(name).sha: name for name in script_names()}
    found: Costs = defaultdict(list)

    def named(command: tuple[Any, ...]) -> str:
        word = str(command[0])
        return names.get(str(command[1]), word) if len(command) > 1 else word

    def measured(send: Callable[[], Any], *commands: tuple[Any, ...]) -> Any:
        before = int(schedule.read_text().split()[0])
        try:
            return send()
        finally:
            spent = (int(schedule.read_text().split()[0]) - before) / 1e6
            found["+".join(map(named, commands))].append(spent)

    one, many = Redis.execute_command, Pipeline.execute
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Redis, "execute_command", lambda self, *a, **k: measured(lambda: one(self, *a, **k), a))
        patch.setattr(
            Pipeline,
            "execute",
            lambda self, *a, **k: measured(lambda: many(self, *a, **k), *(args for args, _ in self.command_stack)),
        )
        yield found


def in_words(costs: Costs) -> str:
    """Return a line for each command: how many, the mean, and the worst."""
    return "\n".join(
        f"{name}: {len(each)} of {sum(each) / len(each):.2f} ms of Redis's CPU, the worst {max(each):.2f} ms"
        for name, each in sorted(costs.items(), key=lambda item: -max(item[1]))
    )
