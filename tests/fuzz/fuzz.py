"""`make fuzz`: a million bodies through the report parser, a hundred thousand through a webhook process.

python tests/fuzz/fuzz.py [--parser N] [--webhook N] [--seed S]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from fuzzing import fuzz_parser, fuzz_webhook


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--parser", type=int, default=1_000_000)
    arguments.add_argument("--webhook", type=int, default=100_000)
    arguments.add_argument("--seed", type=int, default=1)
    wanted = arguments.parse_args()
    print("webhook:", fuzz_webhook(wanted.webhook, seed=wanted.seed), flush=True)
    print("parser: ", fuzz_parser(wanted.parser, seed=wanted.seed), flush=True)


if __name__ == "__main__":
    main()
