"""Whether every report is accounted for, and what to do where not: the one place that says so. Pure.

`roark-ingest audit`, the workers' audit, `status`, `doctor`, alerts and metrics all read it, so that none of them
calls well what another one calls broken.
"""

from dataclasses import dataclass

_REPAIR, _SERVER, _VAPI = "roark-ingest audit --repair", "roark-ingest doctor", "roark-ingest reconcile"


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of thing that is wrong with the accounts, in a sentence, and what to type next."""

    what: str
    command: str


@dataclass(frozen=True, slots=True)
class Accounts:
    """What was found: at `at_ms` an audit ended, after it looked at `looked_at` places; 0: none did yet.

    `difference` is how many accepted reports are in no state (negative: too many are), `broken` how many calls are not
    in exactly one place, `miscounted` what was counted of records by state and is not what it should be.
    """

    difference: int = 0
    broken: int = 0
    miscounted: tuple[str, ...] = ()
    at_ms: int = 0
    looked_at: int = 0
    took_ms: int = 0
    promises: tuple[Finding, ...] = ()
    """What was promised and is missing by what is known outside of the ledger (see `promises.py`)."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is wrong, one line for each kind; none where every report is in exactly one place."""
        found = list(self.promises)
        if self.broken:
            calls = "1 call is" if self.broken == 1 else f"{self.broken} calls are"
            found.append(Finding(f"{calls} in no queue, or in more than one.", _REPAIR))
        if self.miscounted:
            named = "; ".join(self.miscounted)
            found.append(Finding(f"The counts do not match ({named}).", _REPAIR if self.broken else _SERVER))
        if self.difference > 0:
            reports = "1 accepted report is" if self.difference == 1 else f"{self.difference} accepted reports are"
            found.append(Finding(f"{reports} in no state.", _REPAIR if self.broken else _VAPI))
        if self.difference < 0:
            reports = "1 report is" if self.difference == -1 else f"{-self.difference} reports are"
            found.append(Finding(f"{reports} in a state and were never accepted.", _REPAIR if self.broken else _SERVER))
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether every report is accounted for, in exactly one place."""
        return not self.findings

    @property
    def in_words(self) -> str:
        """What was found, in sentences; "" where nothing is wrong."""
        return " ".join(finding.what for finding in self.findings)

    @property
    def command(self) -> str:
        """What to type next, "" where nothing is wrong: the audit names the calls, and what mends them."""
        return "" if self.holds else "roark-ingest audit"
