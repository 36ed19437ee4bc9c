"""A copy of this process that goes on by itself: started in a moment, and it shares the memory of what is loaded.

To be forked from a process without other threads only: what they hold locked would stay locked in the copy.
"""

import atexit
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from roark_ledger.errors import ConfigurationError
from roark_ledger.logs import event
from roark_producer.process.children import EX_CONFIG
from roark_producer.process.orphans import die_with

logger = logging.getLogger(__name__)

_TOLD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Forked:
    """A copy that runs `main` and then ends; when this process dies, it is told to end (SIGTERM), where Linux can."""

    def __init__(self, main: Callable[[], None]) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        # What is told to the copy before its own handlers stand must end it, and not be taken for its parent's.
        signal.pthread_sigmask(signal.SIG_BLOCK, _TOLD)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _go_on(main, parent)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
        self._exit_code: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, None while it runs; a signal's is negative."""
        if self._exit_code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._send(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._send(signal.SIGKILL)

    def _send(self, what: signal.Signals) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, what)


def _go_on(main: Callable[[], None], parent: int) -> NoReturn:
    code = 1
    # What this process does at its end is its own affair: the copy would remove its folders and end its servers.
    atexit._clear()
    try:
        # A session of its own: Ctrl-C in the terminal reaches the parent alone, which ends its copies.
        os.setsid()
        for each in _TOLD:
            signal.signal(each, signal.SIG_DFL)
        die_with(parent, signal.SIGTERM)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _TOLD)
        main()
        code = 0
    except ConfigurationError as error:
        event(logger, "refused_to_start", level=logging.ERROR, error=str(error))
        code = EX_CONFIG
    except SystemExit:
        pass
    except BaseException as error:  # noqa: BLE001 its message may quote anything, its class not
        event(logger, "process_failed", level=logging.ERROR, error=type(error).__name__)
    finally:
        # Not back up the stack, which is the parent's; what `main` wanted done at the end is done.
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
