"""A process that ends at once after failed connections, with its client not closed, ends as it was told to.

Without `parting.py` one in twenty is aborted while the interpreter is taken down ("PyGILState_Release"). So the first
test makes many of them, of nothing but the library and the mending; the second one shows that uploads have it.
"""

import subprocess
import sys

from pipeline import free_port

AT_ONCE = 4
BARE = """
import asyncio, sys
from pyreqwest.client import ClientBuilder
from roark_worker.upload.parting import part_in_peace
part_in_peace()
client = ClientBuilder().build()
async def post():
    async with client.post(sys.argv[1]).body_bytes(b"x" * 1000).build_streamed():
        pass
async def main():
    return {type(each).__name__ for each in await asyncio.gather(*(post() for _ in range(32)), return_exceptions=True)}
print(asyncio.run(main()))
"""
UPLOADS = """
import asyncio, sys
from roark_worker.settings import WorkerSettings
from roark_worker.upload.carrier import OverReqwest
carrier = OverReqwest(WorkerSettings(_env_file=None, roark_base_url=sys.argv[1], roark_api_bearer_token="t" * 20))
async def main():
    posts = (carrier.post({}, b"x" * 1000, "vapi") for _ in range(32))
    return {type(each).__name__ for each in await asyncio.gather(*posts, return_exceptions=True)}
print(asyncio.run(main()))
"""


def ends(program: str, processes: int) -> set[tuple[str, str, int]]:
    """Run so many; return what they said, and how they ended."""
    command = [sys.executable, "-c", program, f"http://127.0.0.1:{free_port()}"]
    found = set()
    for _ in range(processes // AT_ONCE):
        some = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(AT_ONCE)
        ]
        found |= {(*each.communicate(), each.returncode) for each in some}
    return found


def test_no_process_is_aborted_at_its_end_after_failed_connections() -> None:
    assert ends(BARE, 32) == {("{'ConnectError'}\n", "", 0)}


def test_no_process_that_uploads_is_either() -> None:
    assert ends(UPLOADS, AT_ONCE) == {("{'ConnectError'}\n", "", 0)}
