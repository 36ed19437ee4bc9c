"""Pins every image that is pulled to its digest, in the Dockerfile, docker-compose.yml and ops/kubernetes.

    python3 ops/pin_images.py

A tag may be pushed anew; with `NAME:TAG@sha256:…` Docker and Kubernetes take what was there when this ran, for all of
its platforms, and refuse another. Docker asks the registries, so it needs both. Run it again to move to what the tags
are now.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = "roark-ingest"
MANIFESTS = sorted(f"ops/kubernetes/{file.name}" for file in (ROOT / "ops" / "kubernetes").glob("*.yaml"))
FILES = ("ops/docker/Dockerfile", "docker-compose.yml", *MANIFESTS)
IMAGE = re.compile(r"^(\s*(?:FROM|image:) )([\w./-]+:[\w.-]+)(?:@sha256:[0-9a-f]{64})?", re.MULTILINE)


def main() -> None:
    """Ask for the digest of each image, then write all files."""
    texts = {file: (ROOT / file).read_text("utf-8") for file in FILES}
    names = {found[2] for text in texts.values() for found in IMAGE.finditer(text)}
    digests = {name: digest_of(name) for name in sorted(names) if not name.startswith(f"{OURS}:")}
    for file, text in texts.items():
        (ROOT / file).write_text(IMAGE.sub(lambda found: pinned(found, digests), text), "utf-8")
    for name, digest in digests.items():
        sys.stdout.write(f"{name}@{digest}\n")


def pinned(found: re.Match[str], digests: dict[str, str]) -> str:
    """Return a line's beginning with the image's digest behind its name."""
    return found[1] + found[2] + (f"@{digests[found[2]]}" if found[2] in digests else "")


def digest_of(name: str) -> str:
    """Return the digest of what a tag is now."""
    command = ["docker", "buildx", "imagetools", "inspect", name, "--format", "{{.Manifest.Digest}}"]
    try:
        digest = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603 docker's
    except (OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"docker cannot tell the digest of {name}: {getattr(error, 'stderr', '') or error}")
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest):
        sys.exit(f"docker gave no digest for {name}")
    return digest


if __name__ == "__main__":
    main()
