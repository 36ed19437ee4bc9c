"""Every error that roark-ingest raises on purpose.

    IngestError
    ├── ConfigurationError        a setting is missing, contradictory or unsafe
    │   ├── BrokenPromise         the Redis server cannot keep the durability that was asked for
    │   └── UnfitServer           the Redis server cannot do our work: cluster mode, too old, a permission is missing
    ├── InvalidReport             what was handed in cannot be used as a report (names the field)
    │   ├── UnknownMessage        it is a message of Vapi's, of a type that this version does not know
    │   └── TooLarge              it is larger than allowed
    ├── ReplayRefused             no replay job can be made like this: no reason, or too many jobs
    └── LedgerError               the ledger did not do what it was asked
        ├── LedgerUnavailable     Redis cannot be reached, or did not answer in time
        │   └── LedgerRefuses     Redis answers, and takes nothing now, whatever the report: permission, disk, replica …
        │       └── LedgerFull    … its memory is full
        └── LedgerFault           a script of ours failed on what is kept of a call: waiting does not mend that

Messages name calls by id and never carry a payload, a token, a secret or a phone number.
"""


class IngestError(Exception):
    """Anything that roark-ingest raises on purpose."""


class ConfigurationError(IngestError):
    """A setting is missing, contradictory or unsafe; the message says which and how to mend it."""


class BrokenPromise(ConfigurationError):
    """The Redis server cannot keep the durability that was asked for."""


class UnfitServer(ConfigurationError):
    """The Redis server cannot do our work whatever is promised: cluster mode, too old, a permission is missing."""


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
    """It is larger than allowed, or would be unpacked."""


class ReplayRefused(IngestError):
    """No replay job can be made like this; the message says what is missing."""


class LedgerError(IngestError):
    """The ledger did not do what it was asked."""


class LedgerFault(LedgerError):
    """A script of ours failed on what the ledger keeps: it says something about that call, not about Redis."""


class LedgerUnavailable(LedgerError):
    """Redis cannot be reached, or did not answer in time; nothing is known to be stored."""


class LedgerRefuses(LedgerUnavailable):
    """Redis answers, and does not take commands now; `code` is its own word for why, such as NOPERM or MISCONF."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class LedgerFull(LedgerRefuses):
    """Redis refuses writes because its memory is full; nothing was stored."""
