"""The contract of roark-ingest, and the ways in which a report comes in.

    from roark_producer import Producer

    with Producer.from_env() as producer:
        receipt = producer.submit(report)

`producer.py` hands a report in, `vapi/` says what a report is, `webhook/` takes reports over HTTP. What becomes of them
is the ledger's (`roark_ledger`). Nothing here needs the worker's code.
"""

from typing import TYPE_CHECKING, Any

from roark_ledger.errors import (
    BrokenPromise,
    ConfigurationError,
    IngestError,
    InvalidReport,
    LedgerError,
    LedgerFault,
    LedgerFull,
    LedgerRefuses,
    LedgerUnavailable,
)

if TYPE_CHECKING:
    from roark_producer.producer import Producer, Receipt

__all__ = [
    "BrokenPromise",
    "ConfigurationError",
    "IngestError",
    "InvalidReport",
    "LedgerError",
    "LedgerFault",
    "LedgerFull",
    "LedgerRefuses",
    "LedgerUnavailable",
    "Producer",
    "Receipt",
]


def __getattr__(name: str) -> Any:
    # Celery and Redis take a third of a second to import; `roark-ingest --help` must not wait for them.
    if name in {"Producer", "Receipt"}:
        from roark_producer import producer

        return getattr(producer, name)
    raise AttributeError(name)
