"""A real Prometheus for a test: it scrapes real processes every two seconds, knows the rules, and answers queries."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from pipeline import wait_until
from promtool import RULES, program


@dataclass(frozen=True)
class Series:
    """One series: its labels, and its values by time (Unix seconds)."""

    labels: dict[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30, trust_env=False)

    def now(self, query: str) -> list[Series]:
        """Return what a query is now."""
        found = self._get("/query", query=query)
        return [Series(each["metric"], (_point(each["value"]),)) for each in found["result"]]

    def over(self, query: str, start: float, end: float, step: float) -> list[Series]:
        """Return what a query was from `start` to `end`."""
        found = self._get("/query_range", query=query, start=start, end=end, step=step)
        return [Series(each["metric"], tuple(map(_point, each["values"]))) for each in found["result"]]

    def is_ready(self) -> bool:
        try:
            return all(target["health"] == "up" for target in self._get("/targets")["activeTargets"])
        except httpx.HTTPError:
            return False

    def _get(self, path: str, **asked: Any) -> dict[str, Any]:
        answer = self._client.get(path, params=asked)
        if answer.status_code == 400:
            raise AssertionError(f"{asked}: {answer.text}")
        data: dict[str, Any] = answer.raise_for_status().json()["data"]
        return data

    def close(self) -> None:
        self._client.close()


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


@contextmanager
def scraping(folder: Path, port: int, targets: dict[str, str]) -> Iterator[Prometheus]:
    """Run Prometheus on jobs, each with one target (host:port), until the block ends."""
    jobs = [{"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()]
    interval = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "1s"}
    config = {"global": interval, "rule_files": [str(RULES)], "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    command = [program("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    command += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        asked = Prometheus(port)
        try:
            said = folder / "prometheus.log"
            wait_until(asked.is_ready, f"Prometheus scrapes all targets; it says:\n{said.read_text()}")
            yield asked
        finally:
            asked.close()
            process.terminate()
            process.wait(30)
