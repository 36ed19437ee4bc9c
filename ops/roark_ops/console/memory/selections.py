"""Frozen selections: what a button will act on, as it was shown, until it is pressed or an hour has passed.

    selection = selections.freeze(deed, by=ada, subjects=…, chosen="reason http_422")
    selections.claim(selection.id, by=ada)      None the second time: it is done already, or being done

1. Freezing takes down the ids that are meant. What arrives later is not among them.
2. The page that shows a selection has its number on the button. Pressing it claims the selection: whoever comes second,
   by a double click or in another tab, is shown what the first one did.
3. What is done goes on though nobody watches; `done`, `results` and `failed` tell how far it is.

Two operators have a selection each. That what both mean is done once, Redis sees to: a move that is not legal any more
tells the state instead.
"""

import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_LASTS_SECONDS = 3600.0
_MOST = 500


@dataclass(slots=True)
class Selection:
    """Some calls (or entries of the rejected bin), and what is to be done to them.

    `plan` is what the deed needs beside: a replay's preview, an edit's patch. `results` counts what became of them by
    word, `others` names up to a few that did not become what was wanted.
    """

    id: str
    deed: str
    by: str
    subjects: Sequence[str] = field(repr=False)
    chosen: str
    made: float
    made_ms: int
    is_everything: bool = False
    plan: dict[str, Any] = field(default_factory=dict, repr=False)
    reason: str = ""
    state: str = "frozen"
    done: int = 0
    results: Counter[str] = field(default_factory=Counter)
    others: list[tuple[str, str]] = field(default_factory=list)
    failed: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    finished: threading.Event = field(default_factory=threading.Event, repr=False)

    @property
    def count(self) -> int:
        """How many it is about."""
        return len(self.subjects)


class Selections:
    """The selections of this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._selections: dict[str, Selection] = {}

    def freeze(
        self, deed: str, *, by: str, subjects: Sequence[str], chosen: str, now_ms: int, is_everything: bool = False
    ) -> Selection:
        """Take down what is meant."""
        now = self._clock()
        ids = tuple(dict.fromkeys(subjects))
        selection = Selection(secrets.token_urlsafe(12), deed, by, ids, chosen, now, now_ms, is_everything)
        with self._lock:
            self._sweep(now)
            self._selections[selection.id] = selection
        return selection

    def find(self, name: str, *, by: str) -> Selection | None:
        """Return somebody's selection; None where it is gone, or another one's."""
        with self._lock:
            found = self._selections.get(name)
        return found if found and found.by == by and self._clock() - found.made < _LASTS_SECONDS else None

    def claim(self, selection: Selection) -> bool:
        """Say that it is done now; False where somebody did already."""
        with self._lock:
            if selection.state != "frozen":
                return False
            selection.state = "running"
            return True

    def _sweep(self, now: float) -> None:
        over = [name for name, each in self._selections.items() if now - each.made > _LASTS_SECONDS]
        idle = [name for name, each in self._selections.items() if each.state != "running"]
        over += idle[: max(0, len(self._selections) - _MOST)]
        for name in over:
            self._selections.pop(name, None)
