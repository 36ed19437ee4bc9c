"""Which texts the scripts have: `script_texts.txt`, one line each, written by `make script-texts`.

Redis knows a script by the SHA-1 of its text. A pure move changes none of them, whatever it does to files, tables and
names in Python; a script that is changed shows as a line of the list, and so is changed on purpose.
"""

from pathlib import Path

from roark_ledger.scripts import script, script_names

FILE = Path(__file__).parent / "script_texts.txt"


def texts() -> str:
    """Return the list as it is now."""
    return "".join(f"{name} {script(name).sha}\n" for name in script_names())


if __name__ == "__main__":
    FILE.write_text(texts(), "utf-8")
