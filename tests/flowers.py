"""A real Flower beside a pipeline under test, and what it answers over HTTP.

with flower_beside(line) as flower:
    flower.wait_for(SUCCESS=100, FAILURE=2)
    (row,) = flower.find("call-1")
"""

import contextlib
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
from pipeline import Pipeline, Process, wait_until

USER, PASSWORD = "ada", "flower-secret-1"


class Flower:
    """Flower as `roark-ingest flower` starts it."""

    def __init__(self, process: Process, url: str, client: httpx.Client) -> None:
        self.process = process
        self.url = url
        self._client = client

    def workers(self) -> list[dict[str, Any]]:
        """The rows of the workers' page; none while Flower is not there yet."""
        with contextlib.suppress(httpx.TransportError):
            rows: list[dict[str, Any]] = self._client.get("/workers", params={"json": 1}).json()["data"]
            return rows
        return []

    def reports(self) -> dict[str, dict[str, Any]]:
        """All reports that Flower knows, by call id."""
        tasks = self._client.get("/api/tasks", params={"taskname": "roark.report"}).json()
        return {task["args"]: task for task in tasks.values()}

    def other_rows(self) -> list[dict[str, Any]]:
        """Whatever is in the task list and is no report."""
        tasks = self._client.get("/api/tasks").json().values()
        return [task for task in tasks if task["name"] != "roark.report"]

    def states(self) -> Counter[str]:
        """How many reports Flower shows in which state."""
        return Counter(task["state"] for task in self.reports().values())

    def find(self, text: str) -> list[dict[str, Any]]:
        """What the search field of the task list finds."""
        query: dict[str, str | int] = {"draw": 1, "start": 0, "length": 50, "search[value]": text}
        answer = self._client.get("/tasks/datatable", params=query | {"order[0][column]": 0})
        found: list[dict[str, Any]] = answer.raise_for_status().json()["data"]
        return found

    def page(self, path: str) -> str:
        return self._client.get(path).raise_for_status().text

    def wait_for(self, **states: int) -> None:
        """Wait until Flower shows exactly so many reports in these states, and none in others."""
        wait_until(lambda: self.states() == states, f"Flower shows {states}; it shows {self.states()}")


@contextlib.contextmanager
def flower_beside(line: Pipeline) -> Iterator[Flower]:
    """Start Flower on a free port; it listens to the workers' events when the block begins, and ends with it."""
    port = _free_port()
    process = line.start(
        "flower",
        *("-m", "roark_ops.cli", "flower", "--port", str(port)),
        ROARK_INGEST_DATA_DIR=str(line.folder / "data"),
        FLOWER_BASIC_AUTH=f"{USER}:{PASSWORD}",
    )
    url = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=url, auth=(USER, PASSWORD), timeout=30, trust_env=False) as client:
        flower = Flower(process, url, client)
        wait_until(lambda: flower.workers() or not process.runs, f"Flower hears a worker\n{process.log}")
        assert process.runs, process.log
        yield flower
        process.terminate()
        assert process.exit_code() == 0, process.log


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port
