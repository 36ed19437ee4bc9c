"""A process that ends at once after failed connections, with its client not closed, ends as it was told to."""

import subprocess
import sys

from pipeline import free_port

PROCESSES = 4
AT_ONCE = 4
SHORT = """
import asyncio, sys
from roark_worker.settings import WorkerSettings
from roark_worker.upload.carrier import OverReqwest
carrier = OverReqwest(WorkerSettings(_env_file=None, roark_base_url=sys.argv[1], roark_api_bearer_token="t" * 20))
async def main():
    posts = (carrier.post({}, b"x" * 1000, "vapi") for _ in range(32))
    return {type(each).__name__ for each in await asyncio.gather(*posts, return_exceptions=True)}
print(asyncio.run(main()))
"""


def test_no_process_is_aborted_at_its_end_after_failed_connections() -> None:
    command = [sys.executable, "-c", SHORT, f"http://127.0.0.1:{free_port()}"]
    ends = []
    for _ in range(PROCESSES // AT_ONCE):
        some = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(AT_ONCE)
        ]
        ends += [(*each.communicate(), each.returncode) for each in some]

    assert set(ends) == {("{'ConnectError'}\n", "", 0)}
