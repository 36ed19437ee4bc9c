"""The clock of the tests: it stands still until a test moves it."""


class Clock:
    """Unix time in ms, for `Ledger(…, clock=…)`."""

    def __init__(self, now_ms: int = 1_760_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, ms: int) -> None:
        self.now_ms += ms
