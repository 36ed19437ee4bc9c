"""What takes reports in. From Python:

    from roark_producer import Producer

    with Producer.from_env() as producer:
        receipt = producer.submit(report)

`producer.py` and `async_producer.py` submit reports, `vapi/` says what a report is, `webhook/` takes reports over
HTTP. What becomes of them is the ledger's (`roark_ledger`). Nothing here needs the worker's code.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from roark_ledger.errors import (
    BrokenPromise,
    ConfigurationError,
    IngestError,
    InvalidProperties,
    InvalidReport,
    LedgerError,
    LedgerFault,
    LedgerFull,
    LedgerRefuses,
    LedgerUnavailable,
    Misuse,
    ProducerClosed,
)

if TYPE_CHECKING:
    from roark_ledger.moves.intake import Result
    from roark_producer.async_producer import AsyncProducer
    from roark_producer.producer import Producer
    from roark_producer.taking import Receipt

__all__ = [
    "AsyncProducer",
    "BrokenPromise",
    "ConfigurationError",
    "IngestError",
    "InvalidProperties",
    "InvalidReport",
    "LedgerError",
    "LedgerFault",
    "LedgerFull",
    "LedgerRefuses",
    "LedgerUnavailable",
    "Misuse",
    "Producer",
    "ProducerClosed",
    "Receipt",
    "Result",
]

_LATER = {
    "AsyncProducer": "roark_producer.async_producer",
    "Producer": "roark_producer.producer",
    "Receipt": "roark_producer.taking",
    "Result": "roark_ledger.moves.intake",
}


def __getattr__(name: str) -> Any:
    # `roark-ingest --help` must not wait for what these import.
    if name in _LATER:
        return getattr(import_module(_LATER[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
