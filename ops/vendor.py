"""Fetches the scripts that the console serves, and the one that its tests use, out of their npm packages.

    python3 ops/vendor.py        (or: make vendor; needs npm)

Each file lies in the repository with its licence beside it, so that whoever installs the wheel needs neither npm nor
the network. `vendor.json` says which version it is and its SHA-256; a test compares.
"""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVED = ROOT / "ops" / "roark_ops" / "console" / "static" / "vendor"
TESTED = ROOT / "tests" / "browser" / "vendor"
# Package → version, licence, where to, and which of its files under which name.
WANTED = {
    "htmx.org": ("2.0.11", "0BSD", SERVED, {"dist/htmx.min.js": "htmx.min.js", "LICENSE": "htmx.LICENSE"}),
    "uplot": (
        "1.6.32",
        "MIT",
        SERVED,
        {"dist/uPlot.iife.min.js": "uplot.min.js", "dist/uPlot.min.css": "uplot.min.css", "LICENSE": "uplot.LICENSE"},
    ),
    "axe-core": ("4.14.1", "MPL-2.0", TESTED, {"axe.min.js": "axe.min.js", "LICENSE": "axe.LICENSE"}),
}


def main() -> None:
    """Fetch, write, and say what was written."""
    manifests: dict[Path, dict[str, dict[str, str]]] = {SERVED: {}, TESTED: {}}
    for package, (version, licence, folder, files) in WANTED.items():
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(fetched(f"{package}@{version}"))) as archive:
            for inside, name in files.items():
                member = archive.extractfile(f"package/{inside}")
                if member is None:
                    sys.exit(f"{package}@{version} has no {inside}")
                content = member.read()
                (folder / name).write_bytes(content)
                digest = hashlib.sha256(content).hexdigest()
                manifests[folder][name] = {
                    "package": package,
                    "version": version,
                    "licence": licence,
                    "file": inside,
                    "sha256": digest,
                }
    for folder, manifest in manifests.items():
        (folder / "vendor.json").write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")


def fetched(package: str) -> bytes:
    """Return a package as npm's registry has it."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", "--pack-destination", folder, package]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 our own
        (archive,) = Path(folder).iterdir()
        return archive.read_bytes()


if __name__ == "__main__":
    main()
