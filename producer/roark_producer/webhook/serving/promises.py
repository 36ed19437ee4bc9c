"""The promise of a ledger and of its partitions, from the settings: who is asked, on what connections."""

import contextlib
from collections.abc import AsyncIterator

from roark_ledger.ledger import AsyncLedger
from roark_ledger.server.connection import connect_async
from roark_ledger.server.durability import Kept, inspect, keep
from roark_producer.servers import Servers
from roark_producer.webhook.promise import PromisedLedger


@contextlib.asynccontextmanager
async def promised(servers: Servers, *, is_quiet: bool) -> AsyncIterator[PromisedLedger]:
    """Open the ledger for as long as the block lasts; nothing is sent by that."""
    durability, client, checking = servers.settings.durability, connect_async(servers.url), servers.ledger()
    made: list[AsyncLedger] = []

    def check() -> Kept:
        return keep(durability, inspect(checking.client))

    def check_at(number: int) -> Kept:
        return keep(durability, inspect(checking.parts[number].client))

    def partitions() -> int:
        # Those that share their connections have one server, and are away together.
        parts = checking.parts[:-1]
        return len(parts) if any(part.client is not checking.client for part in parts) else 0

    def make(after_write: tuple[str | int, ...]) -> AsyncLedger:
        made.append(servers.async_ledger(client, after_write))
        return made[-1]

    try:
        yield PromisedLedger(check, make, is_quiet=is_quiet, partitions=partitions, check_at=check_at)
    finally:
        for ledger in made:
            await ledger.aclose()
        await client.aclose()
        checking.close()
