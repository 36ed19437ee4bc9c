"""How workers were set up, as they noted it."""

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True, slots=True)
class Setup:
    """How workers were set up, and when the first and the latest of them started with it or noticed it (Unix ms).

    `token` is a mark that is another one for another token, `token_ends` its last four characters, "" of a short one.
    `url` is where it uploads to. `settings` are those that differ from their defaults.
    """

    first_ms: int
    latest_ms: int
    starts: int
    version: str
    token: str
    settings: dict[str, str]
    url: str = ""
    token_ends: str = ""


def parse_setup(line: bytes) -> Setup:
    """Read one line of `setups.lua`."""
    first, latest, starts, facts = line.split(b" ", 3)
    said = msgspec.json.decode(facts)
    # Those before did not say where they upload to.
    more = said.get("url", ""), said.get("token_ends", "")
    return Setup(int(first), int(latest), int(starts), said["version"], said["token"], said["settings"], *more)
