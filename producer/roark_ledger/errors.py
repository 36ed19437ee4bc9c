"""Every error that roark-ingest raises on purpose.

    IngestError
    ├── ConfigurationError        a setting is missing, contradictory or unsafe
    │   ├── BrokenPromise         the Redis server cannot keep the durability that was asked for
    │   └── UnfitServer           the Redis server cannot do our work: a cluster's node, too old, lacks a permission
    ├── InvalidReport             what was handed in cannot be used as a report (names the field)
    │   ├── UnknownMessage        it is a message of Vapi's, of a type that this version does not know
    │   └── TooLarge              it is larger than allowed
    ├── Misuse                    the program that calls us is wrong; nothing was submitted by this call
    │   ├── ProducerClosed        a producer was used after it was closed (a RuntimeError, too)
    │   └── InvalidProperties     `properties` that Roark would not take (a ValueError, too)
    ├── ReplayRefused             the replay job cannot be created: it needs a reason, or too many jobs are open
    └── LedgerError               the ledger did not do what it was asked
        ├── LedgerUnavailable     Redis is unreachable, or did not answer in time
        │   └── LedgerRefuses     Redis answers but refuses commands, whatever the report: permission, disk, replica …
        │       └── LedgerFull    … its memory is full
        └── LedgerFault           a script failed on the stored record of a call: waiting does not help

Messages name calls by id and never carry a payload, a token, a secret or a phone number.
"""


class IngestError(Exception):
    """Anything that roark-ingest raises on purpose."""


class ConfigurationError(IngestError):
    """A setting is missing, contradictory or unsafe; the message says which, and how to fix it."""


class BrokenPromise(ConfigurationError):
    """The Redis server cannot keep the durability that was asked for."""


class UnfitServer(ConfigurationError):
    """The Redis server cannot do our work: it is one node of a cluster, too old, or lacks a permission."""


class InvalidReport(IngestError):
    """What was handed in cannot be used as a report.

    `field` is the dotted path of the offending field, "body" when it is the document as a whole.
    """

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownMessage(InvalidReport):
    """It is a message of Vapi's own shape, of a type that this version does not know."""


class TooLarge(InvalidReport):
    """It is larger than allowed, as it is or decompressed."""


class Misuse(IngestError):
    """The program that calls us is wrong. Nothing was submitted by this call, and no report was spent on it."""


class ProducerClosed(Misuse, RuntimeError):
    """A producer was used after it was closed."""


class InvalidProperties(Misuse, ValueError):
    """The `properties` given beside a report are not what Roark takes; the message names the property."""


class ReplayRefused(IngestError):
    """The replay job cannot be created; the message says what is missing."""


class LedgerError(IngestError):
    """The ledger did not do what it was asked."""


class LedgerFault(LedgerError):
    """A script failed on the stored record of a call: the problem is that call, not Redis."""


class LedgerUnavailable(LedgerError):
    """Redis is unreachable, or did not answer in time: the report may or may not be stored."""


class LedgerRefuses(LedgerUnavailable):
    """Redis answers but refuses commands; `code` is its own word for why, such as NOPERM or MISCONF."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class LedgerFull(LedgerRefuses):
    """Redis refuses writes because its memory is full; nothing was stored."""


def named(error: LedgerUnavailable, place: str) -> LedgerUnavailable:
    """Return the same error, which says of which part of the ledger it is."""
    match error:
        case LedgerRefuses():
            return type(error)(f"{place}: {error}", error.code)
        case _:
            return type(error)(f"{place} is away: {error}")
