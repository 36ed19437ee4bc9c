"""Everything that is left to chance: a seeded `Random` that also rolls ids, phone numbers and sentences.

One `Dice` is shared by a whole stream. The order of its rolls is what makes a seed repeatable, so a change of
that order, even between two keys of one object, changes every report after it.
"""

import math
import random
from collections.abc import Mapping

from roark_samples.vocabulary import FOREIGN_WORDS, WORD_WEIGHTS, WORDS


class Dice(random.Random):
    """Seeded chance: the same seed rolls the same values in the same order."""

    def uuid4(self) -> str:
        """An id like those of organisations, assistants and files."""
        rest = self.hex_digits(32)
        return f"{rest[:8]}-{rest[8:12]}-4{rest[13:16]}-{_variant(rest[16])}{rest[17:20]}-{rest[20:]}"

    def uuid7(self, ms: int) -> str:
        """An id like Vapi's call ids, which begin with the call's time in ms."""
        time = f"{ms & ((1 << 48) - 1):012x}"
        rest = self.hex_digits(20)
        return f"{time[:8]}-{time[8:]}-7{rest[:3]}-{_variant(rest[3])}{rest[4:7]}-{rest[7:19]}"

    def hex_digits(self, length: int) -> str:
        """So many hexadecimal digits."""
        return f"{self.getrandbits(4 * length):0{length}x}"

    def phone_number(self) -> str:
        """A number of the range +1555010xxxx, which belongs to nobody."""
        return f"+1555010{self.randrange(10000):04d}"

    def words(self, count: int, foreign: float = 0.0) -> list[str]:
        """English words, each replaced by a foreign one with the probability `foreign`."""
        words = self.choices(WORDS, cum_weights=WORD_WEIGHTS, k=count)
        if foreign:
            words = [self.choice(FOREIGN_WORDS) if self.random() < foreign else word for word in words]
        return words

    def sentence(self, length: int, foreign: float = 0.0) -> str:
        """So many words, in clauses of 4 to 14."""
        words = self.words(max(1, length), foreign)
        clauses, begin = [], 0
        while begin < len(words):
            end = begin + self.randint(4, 14)
            clause = " ".join(words[begin:end])
            clauses.append(capitalised(clause) + self.choice([".", ".", ".", "?", ","]))
            begin = end
        return " ".join(clauses)

    def lognormal(self, median: float, sigma: float, low: float, high: float) -> float:
        """Mostly near the median, with a long tail, kept within low and high."""
        return min(high, max(low, self.lognormvariate(math.log(median), sigma)))

    def weighted(self, table: Mapping[str, int]) -> str:
        """One key of the table, as often as its weight says."""
        return self.choices(list(table), list(table.values()))[0]


def capitalised(text: str) -> str:
    """The text with its first character in upper case and the rest as it is."""
    return text[:1].upper() + text[1:]


def _variant(digit: str) -> str:
    return "89ab"[int(digit, 16) % 4]
