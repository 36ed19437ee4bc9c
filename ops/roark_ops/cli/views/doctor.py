"""How the doctor's checks are shown: a line each as they are made, or one JSON document."""

import sys
from collections.abc import Iterable

from roark_ops.cli.terminal.output import print_json, print_line
from roark_ops.cli.terminal.words import shown
from roark_ops.doctor.check import Check, Level

_STYLES = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}


def show_checks(checks: Iterable[Check], *, as_json: bool) -> bool:
    """Print the checks; return whether one of them failed."""
    made = []
    for check in checks:
        made.append(check)
        if not as_json:
            _print(check)
            sys.stdout.flush()
    failed = any(check.level is Level.FAIL for check in made)
    if as_json:
        print_json(
            {
                "ok": not failed,
                "checks": [
                    {
                        "name": check.name,
                        "level": check.level.value,
                        "found": shown(check.found),
                        "mend": check.mend or None,
                    }
                    for check in made
                ],
            }
        )
    return failed


def _print(check: Check) -> None:
    print_line(f"{check.level.value:<4}  {check.name:<10}  {shown(check.found)}", style=_STYLES[check.level])
    if check.mend:
        print_line(f"{'':18}{check.mend}")
