"""Runs the suite and writes tables and charts.

    python -m benchmarks [--quick] [--only uploads,ingest,…] [--rounds 3] [--largest 1000000] [--peers FOLDER]

Each part is measured in rounds in which all contenders take turns; the median of the rounds counts. What is done is
kept in results/figures.json, so a part can be run again by itself.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import parts
from benchmarks.machine import description
from benchmarks.pages import FIGURES, write_pages
from benchmarks.parts import Plan
from benchmarks.reports import write_pool
from benchmarks.writing import write

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    # What was started has to end with this process: the blocks that end it run when an exception passes.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer contenders, one round, some ten minutes")
    parser.add_argument("--only", default=",".join(parts.ALL), help=f"some of: {','.join(parts.ALL)}")
    parser.add_argument("--rounds", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0, help="length of each measurement")
    parser.add_argument("--largest", type=int, default=0, help="largest backlog")
    parser.add_argument("--latencies", default="", help="of the upstream in ms, 100 first: 100,0,300")
    parser.add_argument("--peers", type=Path, required=True, help="folder of the peers' virtual environments")
    told = parser.parse_args()
    quick: bool = told.quick
    # Workers run in folders of their own, so a relative path would lead nowhere.
    peers: Path = told.peers.absolute()
    chosen = told.only.split(",")
    kept = json.loads(FIGURES.read_text()) if FIGURES.exists() and chosen != list(parts.ALL) else {}
    figures: dict[str, Any] = kept | {"machine": description(peers), "quick": quick}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        pool = Path(folder) / "pool.tsv"
        sizes = write_pool(pool)
        figures["machine"]["reports"] = (
            f"median {sizes[len(sizes) // 2] / 1000:.0f} kB, largest {sizes[-1] / 1000:.0f} kB"
        )
        plan = Plan(
            pool=pool,
            peers=peers,
            quick=quick,
            rounds=told.rounds or (1 if quick else 3),
            seconds=told.seconds or (3 if quick else 8),
            largest=told.largest or (10_000 if quick else 1_000_000),
            latencies=tuple(map(int, (told.latencies or ("100" if quick else "100,0,300")).split(","))),
            known=tuple(kept.get("uploads", ())),
        )
        for name in chosen:
            figures[name] = parts.ALL[name](plan)
            how = "once, to its end" if name == "cluster" else f"{plan.rounds} of {plan.seconds:g} s"
            figures["rounds"] = figures.get("rounds", {}) | {name: how}
            RESULTS.mkdir(exist_ok=True)
            FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    figures["failed"] = parts.FAILED
    FIGURES.write_text(json.dumps(figures, indent=1) + "\n")
    print(write(figures, RESULTS))
    if not quick:
        write_pages(figures)
    if parts.FAILED:
        sys.exit(f"{len(parts.FAILED)} measurements failed: the best of those that are left is not the best of all")


if __name__ == "__main__":
    main()
