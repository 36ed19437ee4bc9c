"""A call's ID comes from outside, and may read like an option: `--all`, `--yes`, `--since=9d`.

In `… | xargs roark-ingest dlq replay` such an ID would be one. So a command that acts asks whether what it took for its
options are calls as well, and does nothing then, unless `--` ends the options: behind it there are only IDs.
"""

from roark_ledger.ledger import Ledger
from roark_ledger.moves import watch
from roark_ops.cli.terminal.running import USAGE, Commands, fail
from roark_ops.cli.terminal.words import shown


def refuse_ids_as_options(ledger: Ledger) -> None:
    """End the command where an option of its command line is also the ID of a call."""
    words = Commands.typed
    if "--" in words:
        return
    options = list(dict.fromkeys(word for word in words if word.startswith("-") and word != "-"))
    found = ledger.run_all([watch.look(option) for option in options]) if options else []
    taken = [option for option, entry in zip(options, found, strict=True) if entry is not None]
    if taken:
        fail(
            f"{shown(taken[0])} is an option, and also the ID of a call. Nothing was changed. Put -- between the "
            "options and the IDs (xargs roark-ingest … --), or at the end if the option is meant.",
            USAGE,
        )
