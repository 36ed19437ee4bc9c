"""The examples for other languages, run as they stand against a webhook. Marked: a clean machine has no Node."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from webhook_process import SECRET, Webhook

pytestmark = pytest.mark.contract

EXAMPLES = Path(__file__).parents[3] / "ops" / "docs" / "examples"
PROGRAMS = {"post.sh": ["sh"], "post.mjs": ["node"], "post.go": ["go", "run"]}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_a_few_lines_posts_a_report(name: str, webhook: Webhook, call_id: str, tmp_path: Path) -> None:
    if not shutil.which(PROGRAMS[name][0]):
        pytest.skip(f"{PROGRAMS[name][0]} is not installed")
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps({"message": {"type": "end-of-call-report", "call": {"id": call_id}}}))
    bad.write_text("nonsense")

    def run(path: Path, secret: str = SECRET) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*PROGRAMS[name], EXAMPLES / name, path],
            env=dict(os.environ) | {"WEBHOOK": webhook.url, "VAPI_SECRET": secret, "NO_PROXY": "*"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    taken, again, refused, stranger = run(good), run(good), run(bad), run(good, "another one")

    assert (taken.returncode, again.returncode) == (0, 0), taken.stderr
    assert '"result":"accepted"' in taken.stdout.replace(" ", "")
    assert '"result":"duplicate"' in again.stdout.replace(" ", "")
    assert refused.returncode != 0
    assert stranger.returncode != 0
