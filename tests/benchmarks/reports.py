"""Realistic reports with ids of their own, for every contender the same.

`write_pool` makes some hundred reports once, as lines `call id<TAB>JSON`; `endless` goes round and round through
them and gives each one a fresh call id, so that a backlog of any size is made quickly. Peers read the pool with
nothing of this product installed.
"""

import uuid
from collections.abc import Iterator
from pathlib import Path

POOL = 512


def write_pool(path: Path, *, count: int = POOL, seed: int = 7) -> list[int]:
    """Write the pool; return the sizes of its reports in bytes, sorted."""
    from roark_samples import sample_reports

    sizes = []
    with path.open("wb") as pool:
        for sample in sample_reports(count, seed, odd=0, dup=0):
            body = sample.body(wrap=False)
            pool.write(str(sample.call_id).encode() + b"\t" + body + b"\n")
            sizes.append(len(body))
    return sorted(sizes)


def endless(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield call id and report, each call id only once."""
    pool = [line.split(b"\t", 1) for line in path.read_bytes().split(b"\n") if line]
    while True:
        for old_id, body in pool:
            new_id = str(uuid.uuid4())
            yield new_id, body.replace(old_id, new_id.encode())
