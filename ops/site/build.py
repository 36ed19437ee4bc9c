"""Puts the pages of the site together and builds it: python ops/site/build.py ZENSICAL FOLDER

1. The pages of ops/docs, the runbook and the texts of the root go side by side into a folder; what they link to beside
   pages (alert rules, dashboards, settings) goes along as files.
2. The reference is written from the code (`reference.py`), the Python API by mkdocstrings from the docstrings.
3. Zensical builds it; a link that leads nowhere ends it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import reference

from roark_ledger.urls import split_url

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
DOCS = ROOT / "ops" / "docs"
REPOSITORY = "https://github.com/roark-ingest/roark-ingest/blob/main"
PAGES = {
    **{path: path.name for path in sorted(DOCS.glob("*.md"))},
    ROOT / "ops" / "runbook.md": "runbook.md",
    **{ROOT / f"{name}.md": f"{name}.md" for name in ("README", "CHANGELOG", "ARCHITECTURE", "CONTRIBUTING")},
}
LINK = re.compile(r"(\]\()(?!https?://|#|mailto:)([^)\s#]+)(#[^)\s]*)?(\))")


def main(zensical: Path, folder: Path) -> None:
    """Build the site into a folder."""
    with tempfile.TemporaryDirectory(prefix="roark-ingest-site-") as name:
        work = Path(name)
        docs = work / "docs"
        gather(docs)
        write_reference(docs / "reference")
        config = (HERE / "zensical.toml").read_text("utf-8").replace("PRODUCER", str(ROOT / "producer"))
        (work / "zensical.toml").write_text(config, "utf-8")
        built = subprocess.run(  # noqa: S603 our own
            [str(zensical), "build", "--strict"], cwd=work, check=False, capture_output=True, text=True
        )
        sys.stdout.write(built.stdout + built.stderr)
        if built.returncode:
            sys.exit("the site could not be built")
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(work / "site", folder)
    if dead := dead_links(folder):
        sys.exit("\n".join(["links that lead nowhere:", *dead]))


def gather(docs: Path) -> None:
    """Write every page, its links as they are in the site, and copy what they show or offer."""
    docs.mkdir(parents=True)
    for page, name in PAGES.items():
        text = LINK.sub(partial(_as_led, page, docs), page.read_text("utf-8"))
        (docs / name).write_text(text, "utf-8")


def _as_led(page: Path, docs: Path, link: re.Match[str]) -> str:
    return f"{link[1]}{led(page, link[2], docs)}{link[3] or ''}{link[4]}"


def led(page: Path, target: str, docs: Path) -> str:
    """Return where a page's link leads in the site; a file is copied, a folder is looked at in the repository."""
    there = Path(os.path.normpath(page.parent / target))
    if there in PAGES:
        return PAGES[there]
    if not there.exists():
        sys.exit(f"{page.relative_to(ROOT)}: {target} leads nowhere")
    path = there.relative_to(ROOT).as_posix()
    if there.is_dir() or there.suffix == ".md":
        return f"{REPOSITORY}/{path}"
    name = there.relative_to(DOCS).as_posix() if there.is_relative_to(DOCS) else f"files/{path.lstrip('.')}"
    (docs / name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(there, docs / name)
    return name


def write_reference(folder: Path) -> None:
    """Write the pages that come from the code."""
    folder.mkdir()
    shutil.copy(HERE / "api.md", folder / "api.md")
    (folder / "openapi.json").write_text(json.dumps(reference.document(), indent=2), "utf-8")
    with tempfile.TemporaryDirectory() as cells:
        pages = {
            "commands": reference.commands(),
            "reasons": reference.reasons(),
            "webhook": reference.webhook(),
            "metrics": reference.metrics(Path(cells)),
        }
    for name, text in pages.items():
        (folder / f"{name}.md").write_text(text, "utf-8")


class _Page(HTMLParser):
    """What a built page links to, and the places in it that can be linked to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.places: set[str] = set()
        self.feed(text)

    def handle_starttag(self, _tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take note of a tag."""
        for name, value in attributes:
            if name in {"href", "src"} and value:
                self.links.add(value)
            elif name in {"id", "name"} and value:
                self.places.add(value)


def dead_links(folder: Path) -> list[str]:
    """Return each link of the built site that leads to no file, or to no place in its page."""
    pages = {path: _Page(path.read_text("utf-8")) for path in folder.rglob("*.html") if path.name != "404.html"}
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = split_url(link)
            if parts.scheme or parts.netloc:
                continue
            there = path if not parts.path else Path(os.path.normpath(path.parent / unquote(parts.path)))
            there = there / "index.html" if there.is_dir() else there
            place = unquote(parts.fragment)
            if not there.is_file() or (place and there in pages and place not in pages[there].places):
                dead.append(f"{path.relative_to(folder)}: {link}")
    return sorted(dead)


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), Path(sys.argv[2]).absolute())
