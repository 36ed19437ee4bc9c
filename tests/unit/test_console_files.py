"""What the console serves to browsers: known files, nothing inline, little of our own."""

import hashlib
import json
import re
from pathlib import Path

from roark_ops.console.writing import FOLDER, STATIC

ROOT = Path(__file__).parents[2]
VENDORED = (STATIC / "vendor", ROOT / "tests" / "browser" / "vendor")
TEMPLATES = {path.name: path.read_text("utf-8") for path in (FOLDER / "templates").glob("*.html")}
MOST_CSS_BYTES = 8_000


def test_every_vendored_file_is_what_its_package_has_with_its_licence() -> None:
    for folder in VENDORED:
        manifest = json.loads((folder / "vendor.json").read_text("utf-8"))
        assert {path.name for path in folder.iterdir()} == {*manifest, "vendor.json"}
        for name, facts in manifest.items():
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == facts["sha256"], name
            assert facts["version"]
        packages = {facts["package"]: facts["licence"] for facts in manifest.values()}
        licensed = {facts["package"] for name, facts in manifest.items() if name.endswith(".LICENSE")}
        assert licensed == set(packages)
        assert set(packages.values()) <= {"0BSD", "MIT", "MPL-2.0"}


def test_the_versions_are_those_that_make_vendor_fetches() -> None:
    script = (ROOT / "ops" / "vendor.py").read_text("utf-8")
    for folder in VENDORED:
        for facts in json.loads((folder / "vendor.json").read_text("utf-8")).values():
            assert re.search(rf'"{re.escape(facts["package"])}": \(\s*"{re.escape(facts["version"])}"', script)


def test_our_own_sheet_is_small() -> None:
    assert len((STATIC / "console.css").read_bytes()) <= MOST_CSS_BYTES


def test_templates_have_nothing_inline_and_nothing_from_elsewhere() -> None:
    for name, text in TEMPLATES.items():
        assert not re.search(r"\son[a-z]+=|\sstyle=|<style|javascript:|hx-on|hx-vals=.js", text), name
        assert not re.search(r"<script(?![^>]*\ssrc=)", text), name
        assert not re.search(r"(?:src|href)=\"(?:https?:)?//", text), name
        assert not re.search(r"\|\s*safe\b|autoescape", text), name


def test_every_form_that_changes_something_has_the_token() -> None:
    for name, text in TEMPLATES.items():
        for form in re.findall(r'<form[^>]*method="post".*?</form>', text, re.DOTALL):
            assert "token" in form or name == "signin.html", name


def test_scripts_run_no_text_and_ask_nobody_else() -> None:
    for path in STATIC.glob("*.js"):
        text = path.read_text("utf-8")
        assert not re.search(r"\beval\(|new Function|innerHTML|document\.write|https?://", text), path.name
