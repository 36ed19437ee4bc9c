"""What people read needs no glossary: words of the code, and phrases that nobody says, are on no screen."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import roark_ledger
import roark_ops
import roark_producer
import roark_samples
import roark_sandbox
import roark_worker

_UNREAD = re.compile(
    r"\bmend(s|ed|ing)?\b|\bthe lane\b|\bon hold\b|\bnobody\b|\b(some|every|any)body\b|\bmeanwhile\b|\bfor ever\b"
    r"|\bbe it that\b|\bput aside\b|\bhand(s|ed)? in\b|\btaken in\b|\bset back\b|\bfits?\b|\bsome minutes\b"
    r"|\bstands? (at|in)\b|\bon the side of\b|\bcannot be reached\b|\bso (long|often|many|much|soon)\b"
    r"|(?<!there )\b(is|are) no (?!longer|dead)\w+",
    re.IGNORECASE,
)
_EXPRESSION = re.compile(r"\{\{.*?\}\}|\{%.*?%\}")
_PACKAGES = (roark_ledger, roark_ops, roark_producer, roark_samples, roark_sandbox, roark_worker)


def test_no_text_that_people_read_needs_a_glossary() -> None:
    offenders = {f"{where}: {found[0]!r} in {text!r}" for where, text in _read() if (found := _UNREAD.search(text))}
    assert offenders == set()


def _read() -> Iterator[tuple[str, str]]:
    for package in _PACKAGES:
        folder = Path(str(package.__file__)).parent
        for template in sorted(folder.rglob("templates/*.html")):
            for number, line in enumerate(template.read_text("utf-8").splitlines(), 1):
                yield f"{template.relative_to(folder.parent)}:{number}", _EXPRESSION.sub("", line)
        for path in sorted(folder.rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            unread = set(_docstrings(tree, of_commands="cli" in path.parts or path.name == "command.py"))
            for node in ast.walk(tree):
                if isinstance(node, ast.Constant) and node not in unread and _is_text(node.value):
                    yield f"{path.relative_to(folder.parent)}:{node.lineno}", node.value


def _docstrings(tree: ast.Module, *, of_commands: bool) -> Iterator[ast.expr]:
    # Typer prints those of the commands; the others are for who reads the code.
    for node in ast.walk(tree):
        is_command = of_commands and isinstance(node, ast.FunctionDef) and "as_json" in map(_name, node.args.kwonlyargs)
        if is_command and not node.name.startswith("_"):
            continue
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            if isinstance(statement, ast.Expr):
                yield statement.value


def _name(argument: ast.arg) -> str:
    return argument.arg


def _is_text(value: object) -> bool:
    return isinstance(value, str) and " " in value.strip() and re.search(r"[a-z]{2}", value) is not None
