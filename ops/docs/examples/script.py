"""A script that submits a folder of reports: python script.py FOLDER"""

import sys
from collections import Counter
from pathlib import Path

from roark_producer import LedgerUnavailable, Producer, Result


def main(folder: Path) -> int:
    counts: Counter[Result] = Counter()
    reports = (path.read_bytes() for path in sorted(folder.glob("*.json")))
    try:
        with Producer.from_env() as producer:
            # Lazily: only a few reports are in memory at once, however many files there are.
            for receipt in producer.submit_iter(reports, properties={"source": "archive"}):
                counts[receipt.result] += 1
                if receipt.result is Result.REJECTED:
                    print(f"rejected: {receipt.reason}", file=sys.stderr)
    except LedgerUnavailable as error:
        print(f"{error}. Run this again: what is stored counts as a duplicate.", file=sys.stderr)
        return 1
    print(", ".join(f"{count} {result}" for result, count in counts.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
