"""Realistic reports with ids of their own, for every contender the same.

`write_pool` makes some hundred reports once, as lines `call id<TAB>JSON`; `endless` goes round and round through
them and gives each one a fresh call id, so that a backlog of any size is made quickly. Peers read the pool with
nothing of this product installed.
"""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

POOL = 512
_POOL_BYTES = 8_000_000
_SMALLEST_OF_A_CALL = 40_000
_BEFORE_A_WORD = 16_000


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


def write_pool_of(path: Path, size: int, *, seed: int = 7) -> list[int]:
    """Write a pool of reports of about `size` bytes each; return their sizes, sorted."""
    bodies = [_report_of(size, seed + number) for number in range(max(2, min(16, _POOL_BYTES // size)))]
    path.write_bytes(b"".join(b"%b\t%b\n" % each for each in bodies))
    return sorted(len(body) for _, body in bodies)


def _report_of(size: int, seed: int) -> tuple[bytes, bytes]:
    from roark_samples.call import make_call
    from roark_samples.dice import Dice
    from roark_samples.fleet import make_fleet
    from roark_samples.report import write_report

    def of_a_call(seconds: float) -> tuple[bytes, bytes]:
        dice = Dice(seed)
        call = make_call(dice, make_fleet(dice), 1, seconds=seconds)
        return call.call_id.encode(), _compact(write_report(dice, call))

    if size < _SMALLEST_OF_A_CALL:
        # Smaller than what Vapi sends of a call that was answered: the rest is left out.
        dice = Dice(seed)
        call_id = dice.uuid4()
        bare = {"type": "end-of-call-report", "call": {"id": call_id}, "transcript": ""}
        words = dice.sentence(size // 5)[: size - len(_compact(bare))]
        return call_id.encode(), _compact(bare | {"transcript": words})
    seconds, found = 600.0, of_a_call(600)
    for _ in range(4):
        if abs(len(found[1]) - size) < size / 20:
            break
        # What a call has before a word is said does not grow with it.
        seconds *= max(0.05, (size - _BEFORE_A_WORD) / max(1, len(found[1]) - _BEFORE_A_WORD))
        found = of_a_call(seconds)
    return found


def _compact(report: dict[str, object]) -> bytes:
    return json.dumps(report, separators=(",", ":"), ensure_ascii=False).encode()


def endless(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield call id and report, each call id only once."""
    pool = [line.split(b"\t", 1) for line in path.read_bytes().split(b"\n") if line]
    while True:
        for old_id, body in pool:
            new_id = str(uuid.uuid4())
            yield new_id, body.replace(old_id, new_id.encode())
