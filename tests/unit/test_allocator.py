"""Which allocator the embedded server gets, on machines with jemalloc, without, and with one that is of no use."""

import ctypes.util
import shutil
from pathlib import Path

import pytest

from roark_ops.up.server import allocator as subject
from roark_ops.up.server.allocator import allocator

TOLD_TO_REUSE = {"GLIBC_TUNABLES": "glibc.malloc.tcache_count=65535"}
# Any library that programs can be started with will do.
SOME_LIBRARY = "libm.so.6"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A program that says its version, whatever is loaded into it."""
    return script(tmp_path, "echo 9.1.0")


def script(folder: Path, *lines: str) -> Path:
    program = folder / "server"
    program.write_text("\n".join((f"#!{shutil.which('sh')}", *lines)))
    program.chmod(0o700)
    return program


def with_jemalloc(monkeypatch: pytest.MonkeyPatch, library: str | None) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: library if name == "jemalloc" else None)


def test_jemalloc_is_loaded_where_the_machine_has_it(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    with_jemalloc(monkeypatch, SOME_LIBRARY)
    assert allocator(program, {"PATH": "/bin"}) == {"LD_PRELOAD": SOME_LIBRARY}


def test_without_it_glibcs_keeps_what_was_freed_at_hand(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    with_jemalloc(monkeypatch, None)
    assert allocator(program, {}) == TOLD_TO_REUSE


def test_a_library_that_cannot_be_loaded_is_not_taken(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    with_jemalloc(monkeypatch, "libjemalloc-of-another-machine.so.2")
    assert allocator(program, {}) == TOLD_TO_REUSE


@pytest.mark.parametrize("bad", ["echo 'Unsupported system page size' >&2", "exit 1", "kill -9 $$", "sleep 9"])
def test_one_that_the_program_does_not_start_with_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bad: str
) -> None:
    with_jemalloc(monkeypatch, SOME_LIBRARY)
    monkeypatch.setattr(subject, "_PATIENCE_SECONDS", 0.3)
    program = script(tmp_path, f'if [ -n "$LD_PRELOAD" ]; then {bad}; fi', "echo 9.1.0")
    assert allocator(program, {"PATH": "/bin:/usr/bin"}) == TOLD_TO_REUSE


@pytest.mark.parametrize("own", ["", "libtcmalloc.so"])
def test_what_the_user_has_loaded_stays_even_if_that_is_nothing(
    monkeypatch: pytest.MonkeyPatch, program: Path, own: str
) -> None:
    with_jemalloc(monkeypatch, SOME_LIBRARY)
    assert allocator(program, {"LD_PRELOAD": own}) == TOLD_TO_REUSE


def test_what_the_user_has_told_glibc_counts_more(monkeypatch: pytest.MonkeyPatch, program: Path) -> None:
    # glibc reads them from left to right, and the last word on one counts.
    with_jemalloc(monkeypatch, None)
    own = "glibc.malloc.tcache_count=10:glibc.malloc.hugetlb=1"
    assert allocator(program, {"GLIBC_TUNABLES": own}) == {"GLIBC_TUNABLES": f"{TOLD_TO_REUSE['GLIBC_TUNABLES']}:{own}"}


def test_a_program_that_is_not_there_is_an_error_for_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_jemalloc(monkeypatch, SOME_LIBRARY)
    assert allocator(tmp_path / "nothing", {}) == TOLD_TO_REUSE
