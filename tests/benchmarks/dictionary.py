"""Would a zstd dictionary make waiting reports smaller, and at what cost? Prints a table; the product uses none.

    PYTHONPATH=tests .venv/bin/python -m benchmarks.dictionary

Trained on some made-up reports, tried on others, and on others whose words are not those of the training: a real
centre's prompts and conversations are in no dictionary that comes with a wheel. Fields and their order are the same in
all.
CPU is the least of some rounds, in this process.
"""

import random
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import zstandard

from roark_ledger.packing import _HOW
from roark_samples import sample_reports

DICTIONARY_BYTES = 64 << 10
ROUNDS = 7
_WORD = re.compile(r"[A-Za-z]{3,}")


def reports(count: int, seed: int) -> list[bytes]:
    """Return made-up reports."""
    return [sample.body(wrap=False) for sample in sample_reports(count, seed, odd=0, dup=0)]


def in_other_words(body: bytes) -> bytes:
    """Return a report with each word of its prose replaced by another of its length, always the same one."""
    dice = random.Random(5)
    known: dict[str, str] = {}

    def other(found: re.Match[str]) -> str:
        word = found[0]
        if word not in known:
            known[word] = "".join(dice.choice("etaoinshrdlucmfw") for _ in word)
        return known[word]

    def changed(value: Any) -> Any:
        match value:
            case dict():
                return {name: changed(each) for name, each in value.items()}
            case list():
                return [changed(each) for each in value]
            case str() if " " in value:
                return _WORD.sub(other, value)
        return value

    return msgspec.json.encode(changed(msgspec.json.decode(body)))


def cpu_us(action: Callable[[], object], number: int) -> float:
    """Return the least CPU time of some rounds, for each of `number`."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return 1e6 * best / number


def row(bodies: list[bytes], trained_on: Iterable[bytes] | None) -> tuple[float, float, float]:
    """Return the mean size as packed, and the CPU time to pack and to unpack, of one report."""
    given: dict[str, Any] = {}
    if trained_on is not None:
        given["dict_data"] = zstandard.train_dictionary(DICTIONARY_BYTES, list(trained_on))
        given["dict_data"].precompute_compress(compression_params=_HOW)
    compressor = zstandard.ZstdCompressor(compression_params=_HOW, **given)
    decompressor = zstandard.ZstdDecompressor(**given)
    packed = [compressor.compress(body) for body in bodies]
    return (
        statistics.mean(map(len, packed)),
        cpu_us(lambda: [compressor.compress(body) for body in bodies], len(bodies)),
        cpu_us(lambda: [decompressor.decompress(one) for one in packed], len(bodies)),
    )


def main() -> None:
    """Print the table."""
    trained_on, others = reports(300, 7), reports(200, 1234)
    elsewhere, own = [in_other_words(body) for body in others], [in_other_words(body) for body in reports(300, 99)]
    rows = {
        "none": row(others, None),
        "trained on reports with the same words": row(others, trained_on),
        "none, other words": row(elsewhere, None),
        "trained on ours, other words": row(elsewhere, trained_on),
        "trained on one's own reports, other words": row(elsewhere, own),
    }
    sys.stdout.write("| dictionary | bytes as packed | CPU to pack | to unpack |\n|---|---:|---:|---:|\n")
    for name, (size, pack, unpack) in rows.items():
        sys.stdout.write(f"| {name} | {size:,.0f} | {pack:.0f} us | {unpack:.0f} us |\n")


if __name__ == "__main__":
    main()
