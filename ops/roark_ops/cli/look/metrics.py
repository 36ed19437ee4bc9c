"""`roark-ingest metrics`: the ledger's metrics once, for a look, a script, or node_exporter's textfile collector."""

import math
import sys
from typing import TYPE_CHECKING, Any

from roark_ops.cli.terminal.options import AsJson
from roark_ops.cli.terminal.output import print_json

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.core import Metric


def metrics(*, as_json: AsJson = False) -> None:
    """Print the ledger's metrics once, in Prometheus' text format.

    The webhook and the workers serve their own metrics at /metrics, on ports 8789 and 8788 by default.

    Units are seconds, bytes and reports. +Inf (null with --json) means never.
    """
    from roark_ledger.moves import watch
    from roark_ops.access import Access
    from roark_producer.ledger_metrics import ledger_families
    from roark_producer.metrics import build_info, text_of

    with Access.from_env() as access:
        snapshot = access.ledger.run(watch.snapshot())
    families = [build_info(), *ledger_families(snapshot)]
    if as_json:
        print_json(document(families))
    else:
        sys.stdout.write(text_of(families).decode())


def document(families: "Iterable[Metric]") -> dict[str, Any]:
    """Return metric families as `--json` prints them, by name."""
    return {
        family.name: {
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": sample.name, "labels": sample.labels, "value": _number(sample.value)}
                for sample in family.samples
            ],
        }
        for family in families
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
