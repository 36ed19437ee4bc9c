"""One `up`, from its first line to its last.

1. take the data directory, decide what is run;
2. start the server and check that it can keep the durability promised;
3. start the sandbox, Flower, the worker and the webhook, and say where they are;
4. show the demo, if there is one; then run until somebody asks for the end, and start again what dies;
5. drain: the webhook takes nothing in any more, uploads end, the server is the last to go.
"""

import asyncio
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path

import msgspec

from roark_ledger.errors import IngestError
from roark_ledger.ledger import AsyncLedger
from roark_ledger.moves import watch
from roark_ledger.partitions.opening import open_async_ledger, open_ledger
from roark_ledger.server.connection import redis_url
from roark_ledger.server.durability import inspect, keep
from roark_ops.called import short
from roark_ops.roles import RedisRole
from roark_ops.up import parts
from roark_ops.up.comparing import SandboxComparer
from roark_ops.up.crew import Crew
from roark_ops.up.datadir import taken
from roark_ops.up.demo import Demo
from roark_ops.up.environments import Environments, environments
from roark_ops.up.plan import Options, Settings, UpPlan, make_plan, server_in_words
from roark_ops.up.server.embedded import EmbeddedServer
from roark_ops.up.stopping import Stop, first_of
from roark_ops.up.told import telling
from roark_ops.up.told.screen import Screen
from roark_ops.up.told.summary import UpSummary
from roark_producer.servers import Servers

DONE, FAILED, TO_ACT_ON = 0, 1, 3


async def run(options: Options, settings: Settings, screen: Screen) -> int:
    """Run the pipeline until it is told to end; return the exit code.

    Raises IngestError when it cannot be started or a part of it refuses to go on; what was started is ended first.
    """
    with taken(settings.ingest.data_dir) as data_dir:
        plan = make_plan(options, settings)
        pipeline = Pipeline(plan, settings, data_dir, screen)
        stop = Stop()
        with stop.on_signals():
            try:
                code = await first_of(pipeline.live(), _asked(stop))
            finally:
                await pipeline.drain(stop)
        return code


async def _asked(stop: Stop) -> int:
    await stop.wait()
    return DONE


class Pipeline:
    """The parts of one run and what they share."""

    def __init__(self, plan: UpPlan, settings: Settings, data_dir: Path, screen: Screen) -> None:
        self._plan = plan
        self._settings = settings
        self._data_dir = data_dir
        self._screen = screen
        self._crew = Crew(screen.say)
        self._server = (
            None
            if plan.redis_url
            else EmbeddedServer(data_dir, for_sandbox=plan.sandbox is not None, prefix=plan.prefix)
        )

    async def live(self) -> int:
        """Start, work, and return the exit code when there is nothing more to do."""
        await self._start()
        return await first_of(self._work(), self._crew.keep())

    async def _start(self) -> None:
        self._screen.say(*telling.destination(self._plan))
        for line in telling.other_ports(self._plan):
            self._screen.say(line)
        env = await self._start_server(environments(self._plan, self._data_dir))
        self._check_promise()
        await self._start_the_rest(env)
        self._screen.say()
        for line in telling.places(self._plan, self._data_dir):
            self._screen.say(line)

    async def _start_server(self, env: Environments) -> Environments:
        if self._server:
            await self._crew.start(parts.server_part(self._server, self._data_dir, env))
            self._screen.say(f"server: embedded Valkey, data in {short(self._server.files)}")
            return replace(env, urls={role: self._server.url(role) for role in RedisRole})
        if self._plan.redis_url:
            # One that cannot be the broker is refused before anything runs.
            _ = Servers(self._settings.ingest).broker_url
            apart = f", separate from the real reports (prefix {self._plan.prefix})" if self._plan.sandbox else ""
            self._screen.say(f"server: {server_in_words(self._plan.redis_url)}{apart}")
        return env

    def _check_promise(self) -> None:
        with closing(open_ledger(self._url(), self._plan.prefix)) as ledger:
            self._screen.say(f"server: {keep(self._settings.ingest.durability, inspect(ledger.client)).sentence}")

    async def _start_the_rest(self, env: Environments) -> None:
        plan, data_dir = self._plan, self._data_dir
        wanted = [
            parts.worker_part(plan, data_dir, env, log_level=self._settings.ingest.log_level),
            parts.webhook_part(plan, data_dir, env),
        ]
        if plan.sandbox:
            wanted.insert(0, parts.sandbox_part(plan, plan.sandbox.number, data_dir, env))
        if plan.flower:
            wanted.insert(0, parts.flower_part(plan.flower.number, data_dir, env))
        if plan.console:
            wanted.insert(0, parts.console_part(plan.console.number, data_dir, env))
        await self._crew.start(*wanted)

    async def _work(self) -> int:
        code = DONE
        summary = await self._show_demo() if self._plan.demo else None
        if summary and not summary.is_complete:
            code = TO_ACT_ON if summary.is_settled else FAILED
        if self._plan.once:
            return code
        self._screen.say()
        for line in telling.next_steps(self._plan, summary, self._data_dir):
            self._screen.say(line)
        self._screen.say("\nRunning. Press Ctrl-C to finish uploads and stop.", "bold")
        await asyncio.Event().wait()
        return code

    async def _show_demo(self) -> UpSummary:
        self._screen.say()
        async with aclosing(self._ledger()) as ledger:
            with self._screen.following(self._plan.reports) as following:
                demo = Demo(self._plan, ledger, self._credentials(), following.show, self._comparer())
                summary = await demo.run()
        for line, style in telling.findings(summary, self._plan):
            self._screen.say(line, style)
        if self._screen.json:
            self._screen.hand_over(msgspec.json.encode(telling.as_json(summary, self._plan)).decode())
        return summary

    async def drain(self, stop: Stop) -> None:
        """End the parts in order, and say what is left for the next run."""
        before_the_server = tuple(name for name in parts.ORDER_OF_THE_END if name != "valkey")
        await self._crew.end(stop.insisted, before_the_server)
        if (left := await self._left()) is not None:
            self._screen.say(left)
        await self._crew.end(asyncio.Event(), ("valkey",))
        if self._server:
            self._server.clear()

    async def _left(self) -> str | None:
        try:
            async with aclosing(self._ledger()) as ledger:
                return telling.left_over(await ledger.run(watch.snapshot()))
        except IngestError:
            # It has not come to a ledger, or that one is gone.
            return None

    def _comparer(self) -> SandboxComparer | None:
        if not self._plan.sandbox_url:
            return None
        ingest = self._settings.ingest
        ledger = open_ledger(self._url(), self._plan.prefix)
        ledger = ledger.promising(keep(ingest.durability, inspect(ledger.client)).after_write)
        return SandboxComparer(ledger, self._plan.sandbox_url, ingest, self._settings.worker)

    def _ledger(self) -> AsyncLedger:
        return open_async_ledger(self._url(), self._plan.prefix)

    def _url(self) -> str:
        return redis_url(self._plan.redis_url, self._data_dir)

    def _credentials(self) -> dict[str, str]:
        secrets = self._settings.webhook.secrets()
        return {self._settings.webhook.webhook_token_header: secrets[0]} if secrets else {}
