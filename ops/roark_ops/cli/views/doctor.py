"""How the doctor's checks are shown: a line each as they are made, or one JSON document."""

import shutil
import sys
from collections.abc import Iterable

from roark_ops.cli.terminal.output import broken, print_json, print_line
from roark_ops.cli.terminal.words import shown
from roark_ops.doctor.check import Check, Level

_NAMES = {"lane": "uploads"}
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
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    name = _NAMES.get(check.name, check.name)
    found = broken(f"{check.level.value:<4}  {name:<12}  {shown(check.found)}", columns, indent=20)
    print_line(found, style=_STYLES[check.level])
    if check.mend:
        print_line(f"{'':20}{check.mend}")
