"""One name, one thing: no two classes of the product share a name, so that it says what it is wherever it is read."""

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("producer", "worker", "ops")


def named_types(file: Path) -> list[str]:
    """The names of a file's classes and of its unions of them, but for private ones."""
    found = []
    for node in ast.parse(file.read_text("utf-8")).body:
        match node:
            case ast.ClassDef(name=name):
                found.append(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.BinOp(op=ast.BitOr())) if name[0].isupper():
                found.append(name)
    return [name for name in found if not name.startswith("_")]


def test_no_two_types_share_a_name() -> None:
    places = defaultdict(list)
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            for name in named_types(file):
                places[name].append(str(file.relative_to(ROOT)))

    assert len(places) > 200
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
