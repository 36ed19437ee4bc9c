"""How partitions are called in messages. Pure."""

from collections.abc import Sequence


def place_in_words(number: int, partitions: int) -> str:
    """Return how a partition, or the home of all (a negative number), is called."""
    return "the ledger's home" if number < 0 else f"partition {number} of {partitions}"


def places_in_words(numbers: Sequence[int], partitions: int) -> str:
    """Return how several partitions are called."""
    if len(numbers) == 1:
        return place_in_words(numbers[0], partitions)
    return f"partitions {', '.join(map(str, numbers))} of {partitions}"


def away_in_words(numbers: Sequence[int], partitions: int) -> str:
    """Say that partitions are away."""
    return f"{places_in_words(numbers, partitions)} {'is' if len(numbers) == 1 else 'are'} away"
