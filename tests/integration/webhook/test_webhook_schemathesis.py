"""The webhook against its OpenAPI document: requests by the thousand that nobody thought of, made by schemathesis."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from webhook_process import SECRET, Valkey, start

pytestmark = pytest.mark.contract

CONFIG = Path(__file__).parents[2] / "contract" / "schemathesis.toml"
EXAMPLES = os.environ.get("CONTRACT_EXAMPLES", "200")


@pytest.fixture
def schemathesis() -> str:
    found = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")
    if not found:
        pytest.skip("schemathesis is not installed; `make contract` brings it")
    return found


def test_schemathesis_finds_nothing(schemathesis: str, tmp_path: Path) -> None:
    server = Valkey(tmp_path / "valkey")
    (tmp_path / "valkey").mkdir()
    server.start()
    try:
        with start(tmp_path, server.url, webhook_body_seconds=15, max_report_bytes=25_000_000, spool="true") as webhook:
            base = webhook.url.removesuffix("/vapi")
            ended = subprocess.run(
                [
                    *(schemathesis, "--config-file", CONFIG, "run", f"{base}/openapi.json"),
                    *(
                        "-H",
                        f"X-Vapi-Secret: {SECRET}",
                        "-n",
                        EXAMPLES,
                        "--continue-on-failure",
                        "--request-timeout",
                        "60",
                    ),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=280,
                check=False,
            )
    finally:
        server.stop()
    print("\n".join(line[:300] for line in ended.stdout.splitlines()))
    assert ended.returncode == 0
