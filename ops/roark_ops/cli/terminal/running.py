"""How a command ends: its exit code, one clear line on stderr when it failed, no traceback, no broken pipe.

0   done
1   failed: a setting, Redis, or what was asked for is not possible
2   usage
3   done, and there is something to act on
"""

import os
import shutil
import sys
from typing import Any, ClassVar, NoReturn

import typer
from typer.core import TyperGroup

from roark_ledger.errors import ConfigurationError, IngestError, LedgerFull, LedgerUnavailable
from roark_ledger.logs import set_up_logging
from roark_ops.called import as_called, lacking, lacking_for
from roark_ops.cli.terminal.output import broken

FAILED = 1
USAGE = 2
TO_ACT_ON = 3
INTERRUPTED = 130


class Misused(IngestError):
    """What was asked for cannot be read, or makes no sense; says which option, and what to try."""


class Commands(TyperGroup):
    """A group of commands whose errors become one line and an exit code. `typed` is what this process was given."""

    typed: ClassVar[list[str]] = []

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Keep what was typed."""
        Commands.typed = list(args)
        return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        # What the parts below have to tell, a wake-up that failed for instance, is a line and no bare word.
        set_up_logging("console", "warning")
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(FAILED) from None
        except Misused as error:
            fail(str(error), USAGE)
        except IngestError as error:
            fail(in_words(error))
        except ModuleNotFoundError as error:
            if not (words := lacking_for(error)):
                raise
            fail(words)
        except ValueError as error:
            # httpx makes the same of each proxy's URL that it cannot use, and quotes it with its password.
            if "proxy URL" not in str(error):
                raise
            fail("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY is not the URL of a usable proxy (http://HOST:PORT)")
        return result


def fail(message: str, code: int = FAILED) -> NoReturn:
    """End the command with one line on stderr."""
    say(f"roark-ingest: {message}")
    raise typer.Exit(code)


def need(*extras: str) -> None:
    """Return when these extras are installed; otherwise end the command with what to install."""
    if words := lacking(*extras):
        fail(f"this {words}")


def say(message: str) -> None:
    """Tell a person something that is not the command's output."""
    columns = shutil.get_terminal_size().columns if sys.stderr.isatty() else 0
    typer.echo(broken(as_called(message), columns), err=True)


def in_words(error: IngestError) -> str:
    """Return an error's message, and what to do about it where the message does not say."""
    match error:
        case LedgerFull():
            return f"{error}. Give Redis more memory, or wait until the workers have delivered. See roark-ingest doctor"
        case LedgerUnavailable():
            return f"{error}. See roark-ingest doctor"
        case ConfigurationError() | IngestError():
            return str(error)


def confirm(question: str, *, yes: bool) -> None:
    """Return when a person says yes, here or by --yes; end the command when nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        fail(f"{question} Not a terminal, so I can't ask for confirmation. Re-run with --yes.", USAGE)
    if not typer.confirm(question, err=True):
        fail("cancelled, nothing was changed.")


def _forget_stdout() -> None:
    # The interpreter flushes stdout once more as it exits; into a closed pipe that would be a traceback.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
