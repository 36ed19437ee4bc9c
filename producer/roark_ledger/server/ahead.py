"""Operations that are asked while the answer before is worked on, so that Redis and the caller do not wait in turn."""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, suppress
from typing import Any, TypeVar

from roark_ledger.errors import LedgerError
from roark_ledger.moves.operation import Operation
from roark_ledger.server.connection import translated_errors

T = TypeVar("T")


class Ahead:
    """A connection of its own, on which a ledger is asked before the answer is wanted.

    Whatever goes wrong with that is left to `otherwise`, which asks anew. Without a client that asks for all.
    """

    def __init__(
        self,
        client: Any,
        evalsha: Callable[[Operation[Any]], Sequence[Any]],
        otherwise: Callable[[Operation[Any]], Any],
    ) -> None:
        self._of = client
        self._evalsha = evalsha
        self._otherwise = otherwise
        self._client: Any = None
        self._asked: Any = None

    def ask(self, operation: Operation[Any]) -> None:
        """Send it."""
        self._asked = operation
        if self._of is not None:
            with suppress(LedgerError), translated_errors():
                self._client = self._client or self._of.client()
                self._client.connection.send_command(*self._evalsha(operation))

    def answer(self) -> Any:
        """Wait for the answer to what was asked."""
        operation, self._asked = self._asked, None
        if self._client:
            with suppress(LedgerError), translated_errors():
                return operation.parse(self._client.connection.read_response())
        return self._otherwise(operation)

    def close(self) -> None:
        """Give the connection back."""
        if self._client:
            if self._asked:
                # An answer that nobody has read would be taken for that to the next question.
                self._client.connection.disconnect()
            self._client.close()


def ask_ahead(asks: Generator[Operation[T], Any], run: Callable[[Operation[T]], T], ahead: Ahead) -> Iterator[T]:
    """Yield the answers to what `asks` asks; see `Ledger.run_ahead`."""
    with closing(ahead):
        if not (first := _next(asks)):
            return
        answer = run(first)
        while following := _next(asks, answer):
            ahead.ask(following)
            yield answer
            answer = ahead.answer()
        yield answer


def _next(asks: Generator[Operation[T], Any], answer: T | None = None) -> Operation[T] | None:
    try:
        return asks.send(answer)
    except StopIteration:
        return None
