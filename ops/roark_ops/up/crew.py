"""All parts together: started in the order given, kept alive, ended in the order in which reports flow.

    up      server, sandbox, worker, webhook: each has what it needs before it starts
    down    webhook (nothing more comes in), worker (uploads end), sandbox, Flower, the server last

A part that dies is started again after a pause that doubles while it keeps dying. Only the first start must
succeed: a part that refuses its settings then would refuse them again.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from roark_ops.up.processes import Part, Process
from roark_ops.up.waiting import LOOK_SECONDS

_FIRST_PAUSE_SECONDS = 0.25
_LONGEST_PAUSE_SECONDS = 30.0
_HEALTHY_SECONDS = 60.0


@dataclass(slots=True)
class _Member:
    part: Part
    process: Process | None
    pause: float = _FIRST_PAUSE_SECONDS
    start_at: float = 0.0


class Crew:
    """The parts of one pipeline. `say` tells a person what happens to them."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._members: dict[str, _Member] = {}

    async def start(self, *parts: Part) -> None:
        """Start parts side by side, and wait for those that are awaited.

        Raises PartFailed when one of these does not become ready.
        """
        started = []
        for part in parts:
            process = await Process.start(part)
            self._members[part.name] = _Member(part, process)
            started.append(process)
        await asyncio.gather(*(process.until_ready() for process in started if not process.part.is_expendable))

    async def keep(self) -> NoReturn:
        """Start again what dies, until cancelled."""
        while True:
            for member in self._members.values():
                await self._look_after(member)
            await asyncio.sleep(LOOK_SECONDS)

    async def _look_after(self, member: _Member) -> None:
        if member.process is None:
            if time.monotonic() >= member.start_at:
                member.process = await Process.start(member.part)
            return
        code = member.process.exit_code
        if code is None:
            return
        lived = time.monotonic() - member.process.started
        is_again = lived < _HEALTHY_SECONDS and member.start_at > 0
        member.pause = min(member.pause * 2, _LONGEST_PAUSE_SECONDS) if is_again else _FIRST_PAUSE_SECONDS
        member.start_at = time.monotonic() + member.pause
        member.process = None
        self._say(f"{member.part.name}: {_manner(code)}, restarting in {member.pause:g} s. Log: {member.part.log}")

    async def end(self, insisted: asyncio.Event, order: tuple[str, ...]) -> None:
        """End the parts one after the other in that order; `insisted` ends the patience with each."""
        processes = [self._members[name].process for name in order if name in self._members]
        running = [process for process in processes if process and process.exit_code is None]
        for process in running:
            if process.part.is_expendable:
                process.ask_to_end()
        for process in running:
            await self._end_one(process, insisted)

    async def _end_one(self, process: Process, insisted: asyncio.Event) -> None:
        part = process.part
        if part.ending:
            self._say(f"{part.name}: {part.ending} (at most {part.end_seconds:.0f} s)")
        if not await process.end(insisted) and not part.is_expendable:
            self._say(f"{part.name}: did not stop in time and was killed; no report is lost")


def _manner(code: int) -> str:
    return f"was killed by signal {-code}" if code < 0 else f"exited with code {code}"
