"""The command that prints made-up reports, one JSON document a line (NDJSON).

Lines end in "\\n" alone. A reader that splits at every Unicode line separator breaks the odd ones, as it
would break real ones.
"""

import gzip
import json
import os
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

if TYPE_CHECKING:
    from roark_samples.stream import Sample


def sample(
    *,
    count: Annotated[int, typer.Option(help="Number of reports (other messages are extra).")] = 100,
    seed: Annotated[int, typer.Option(help="Random seed: the same seed prints the same bytes.")] = 1,
    odd: Annotated[float, typer.Option(help="Share of unusual but valid reports.")] = 0.03,
    dup: Annotated[float, typer.Option(help="Share of calls with a second message.")] = 0.03,
    mix: Annotated[float, typer.Option(help="Share of lines that are other server messages.")] = 0.0,
    wrap: Annotated[bool, typer.Option("--wrap", help='Print {"message": ...}, as Vapi posts it.')] = False,
    labels: Annotated[
        typer.FileTextWrite | None,
        typer.Option(help="Also write to this file what each line is.", encoding="utf-8", lazy=False),
    ] = None,
    stats: Annotated[bool, typer.Option("--stats", help="Print only the reports' sizes, to stderr.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print --stats as JSON, to stdout. (Reports are always JSON.)")
    ] = False,
) -> None:
    """Print sample Vapi end-of-call reports, one JSON document per line."""
    from roark_samples.stream import sample_reports

    try:
        samples = sample_reports(count, seed, odd, dup, mix)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    lines: Iterator[tuple[Sample, bytes]] = ((each, each.body(wrap)) for each in samples)
    if labels:
        lines = _labelled(lines, labels)
    if stats:
        sizes = _sizes(lines)
        if as_json:
            typer.echo(json.dumps(sizes))
        else:
            typer.echo(" ".join(f"{name}={value}" for name, value in sizes.items()), err=True)
    else:
        _print(body for _, body in lines)


def _print(bodies: Iterable[bytes]) -> None:
    """Write each body and a newline to stdout, until its reader has had enough."""
    out = sys.stdout.buffer
    try:
        for body in bodies:
            out.write(body + b"\n")
        out.flush()
    except BrokenPipeError:
        # The interpreter flushes stdout once more as it exits; into a closed pipe that would be a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _labelled(lines: "Iterable[tuple[Sample, bytes]]", file: TextIO) -> "Iterator[tuple[Sample, bytes]]":
    """Pass the lines on, and write down what each of them is."""
    for number, (each, body) in enumerate(lines):
        label: dict[str, Any] = {
            "n": number,
            "label": each.label,
            "type": each.message.get("type"),
            "callId": each.call_id,
            "bytes": len(body),
        }
        file.write(json.dumps(label) + "\n")
        yield each, body


def _sizes(lines: "Iterable[tuple[Sample, bytes]]") -> dict[str, float]:
    """How large the reports are, in bytes, and how far gzip takes them down."""
    sizes, gzipped_bytes = [], 0
    for each, body in lines:
        if each.label != "other":
            sizes.append(len(body))
            gzipped_bytes += len(gzip.compress(body, 6))
    if not sizes:
        return {"n": 0}
    sizes.sort()
    count, total = len(sizes), sum(sizes)
    quantiles = {
        f"p{percent}": sizes[min(count - 1, int(percent / 100 * count))] for percent in (10, 25, 50, 75, 90, 95, 99)
    }
    return {
        "n": count,
        "min": sizes[0],
        **quantiles,
        "max": sizes[-1],
        "mean": total // count,
        "gzip6_mean": gzipped_bytes // count,
        "ratio": round(total / gzipped_bytes, 1),
    }
