"""The product's webhook with one part taken out: it answers without storing anything. Only a bound to measure against.

python -m benchmarks.webhook_without_redis
"""

from typing import Any

from roark_ledger.moves.intake import Acceptable, Result
from roark_producer.settings import IngestSettings, WebhookSettings
from roark_producer.webhook.serving import process, server


class SaysYes:
    """Stands where GroupCommit stands."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    async def accept(self, _: Acceptable) -> Result:
        return Result.ACCEPTED


if __name__ == "__main__":
    process.GroupCommit = SaysYes  # type: ignore[assignment,misc]
    server.run(IngestSettings(_env_file=None), WebhookSettings(_env_file=None))
