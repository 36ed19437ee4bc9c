"""What senders do: reports at a steady pace, each sent again until it is answered with yes."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from roark_ledger.errors import LedgerError
from roark_producer.producer import Producer

_WORDS = ("yes", "no", "Grüße", "good", "morning", "the", "invoice", "please", "call", "me", "back", "\U0001f600")
_SENDERS = 8
_AGAIN_SECONDS = 0.2
_runs = itertools.count()


@dataclass(frozen=True)
class Sent:
    """A report as its sender knows it: `sha256` is of the payload, which must arrive byte for byte."""

    call_id: str
    body: bytes
    sha256: str


def reports(chance: random.Random, number: int, *, kilobytes: float = 3) -> Iterator[Sent]:
    """Reports of random size around `kilobytes`, with text that does not compress to nothing."""
    run = next(_runs)
    for each in range(number):
        call_id = f"chaos-{run}-{each:05}"
        words = round(kilobytes * chance.uniform(20, 180))
        spoken = " ".join(f"{chance.choice(_WORDS)} {chance.getrandbits(32):x}" for _ in range(words // 2))
        message = {
            "type": "end-of-call-report",
            "call": {"id": call_id, "cost": 12345678901234567890},
            "endedReason": "customer-ended-call",
            "artifact": {"transcript": spoken},
        }
        payload = json.dumps(message, ensure_ascii=False).encode()
        yield Sent(call_id, b'{"message":' + payload + b"}", hashlib.sha256(payload).hexdigest())


class Load:
    """Sends reports in the background, so many a second. `post` says whether one was answered with yes."""

    def __init__(self, wanted: list[Sent], post: OverHttp | ByProducer, *, per_second: float) -> None:
        self.answered: dict[str, str] = {}
        self.tried: set[str] = set()
        self.tries = 0
        self._queue = iter(wanted)
        self._lock = threading.Lock()
        self._post = post
        self._pause_seconds = _SENDERS / per_second
        self._stop = threading.Event()
        self._pool = ThreadPoolExecutor(_SENDERS, thread_name_prefix="sender")
        self._senders = [self._pool.submit(self._send) for _ in range(_SENDERS)]

    def _send(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                one = next(self._queue, None)
            if one is None:
                return
            self.tried.add(one.call_id)
            while not self._answered(one):
                if self._stop.wait(_AGAIN_SECONDS):
                    return
            self._stop.wait(self._pause_seconds)

    def _answered(self, one: Sent) -> bool:
        self.tries += 1
        if not self._post(one):
            return False
        self.answered[one.call_id] = one.sha256
        return True

    @property
    def is_over(self) -> bool:
        """Whether every sender has its yes for every report; an error in one of them is raised here."""
        return all(sender.done() and sender.result() is None for sender in self._senders)

    def stop(self) -> None:
        self._stop.set()
        self._pool.shutdown()
        self._post.close()


class OverHttp:
    """Posts as Vapi does; whatever is not 200 has to be sent again."""

    def __init__(self, url: str, **headers: str) -> None:
        self._url = url
        self._client = httpx.Client(timeout=20, trust_env=False, headers=headers)

    def __call__(self, one: Sent) -> bool:
        try:
            answer = self._client.post(self._url, content=one.body)
        except httpx.TransportError:
            return False
        assert answer.status_code in {200, 503}, answer.text
        return answer.status_code == 200

    def close(self) -> None:
        self._client.close()


class ByProducer:
    """Submits from Python; whatever raises has to be submitted again."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer

    def __call__(self, one: Sent) -> bool:
        try:
            self._producer.submit(one.body)
        except LedgerError:
            return False
        return True

    def close(self) -> None:
        self._producer.close()
