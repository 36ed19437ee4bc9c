"""What the processes of one webhook tell each other of the spool, so that a call's newer report stays the newer one.

Each has segments of its own; one of them, the first, hands all of them in. As long as anything waits in the spool of
one, what comes to any of them goes behind it:

1. a process counts a request before it writes it (`keeping`). From then on all see that something waits;
2. it counts as sealed what lies in a segment that is finished, when it is asked to finish it (`ask`);
3. whoever hands in notes what was sealed before it looks into the folder; when all that is found there is in the
   ledger, so is that (`handed_in`);
4. nothing waits any more when everything that was begun was handed in. While that is about to be so, what comes
   waits a moment (`last_few`): under load there would always be some more.

A process that is killed leaves its segment, which is found in the folder, and its numbers, so that the others go on
spooling until its successor is there.
"""

from roark_producer.webhook.serving.board import Board, SharedCell, SpoolCell


class SpoolNews:
    """One process's view of one shelf. By itself there is one process only."""

    def __init__(self, board: Board | None = None, number: int = 1, shelf: int = 0) -> None:
        self._board = board or Board(1, 0)
        self._shelf = shelf
        self._row = self._board.spool_row(number, shelf)
        self._shared = self._board.shared(shelf)
        self._asked = 0.0
        self.hands_in = number == 1
        """Whether this is the process that hands in."""
        if self.hands_in:
            self.last_few = False
            if self._row[SpoolCell.KEPT] == 0:
                # Until the first look, nobody knows what an earlier webhook left in the folder.
                self._row[SpoolCell.KEPT] = 1
        # A predecessor that was killed writes nothing any more.
        self._row[SpoolCell.SEALED] = self._written = self._row[SpoolCell.KEPT]

    @property
    def something_waits(self) -> bool:
        """Whether anything is in the spool, or on its way there."""
        return self._board.spool_column(SpoolCell.KEPT, self._shelf) != self._board.spool_column(
            SpoolCell.HANDED_IN, self._shelf
        )

    @property
    def is_unknown(self) -> bool:
        """Whether nobody has looked yet what an earlier webhook left, and nothing came since."""
        return (
            not any(self._board.spool_column(SpoolCell.HANDED_IN, self._shelf))
            and sum(self._board.spool_column(SpoolCell.KEPT, self._shelf)) == 1
        )

    @property
    def all_sealed(self) -> bool:
        """Whether all that is in the spool could be handed in."""
        return self._board.spool_column(SpoolCell.KEPT, self._shelf) == self._board.spool_column(
            SpoolCell.SEALED, self._shelf
        )

    @property
    def last_few(self) -> bool:
        """Whether what comes should wait until what is in the spool is handed in."""
        return bool(self._shared[SharedCell.LAST_FEW])

    @last_few.setter
    def last_few(self, value: bool) -> None:
        self._shared[SharedCell.LAST_FEW] = float(value)

    def keeping(self) -> None:
        """Tell that a request is going to be written."""
        self._row[SpoolCell.KEPT] += 1

    def written(self, requests: int) -> None:
        """Note that requests are on the disk, or cannot be."""
        self._written += requests

    def seal(self) -> None:
        """Tell that nobody writes any more to the segments in which the requests are that were written."""
        self._row[SpoolCell.SEALED] = self._written

    def ask(self) -> None:
        """Ask all to seal what they have."""
        self._shared[SharedCell.ASKED] += 1

    def is_asked(self) -> bool:
        """Say, once, whether this process was asked to seal."""
        before, self._asked = self._asked, self._shared[SharedCell.ASKED]
        return before != self._asked

    def sealed(self) -> list[float]:
        """Return how much of each process is sealed."""
        return self._board.spool_column(SpoolCell.SEALED, self._shelf)

    def handed_in(self, sealed: list[float]) -> None:
        """Tell that all which was sealed then is in the ledger."""
        for number, amount in enumerate(sealed, 1):
            self._board.spool_row(number, self._shelf)[SpoolCell.HANDED_IN] = amount
