"""The command line: runs a command, and ends the process with one line and an exit code where it could not."""

from __future__ import annotations

import logging
import os
import sys
import threading

from typer.exceptions import TyperException

from worker.commands import app
from worker.config.validation import in_our_words
from worker.exits import Exit, StopError
from worker.model.torch.spinning import spin_briefly
from worker.observe.logs import be_printable, say
from worker.terminal.encoding import let_stand_in


def main() -> None:
    """Run the command line, then end the process."""
    spin_briefly(os.environ)
    let_stand_in(sys.stdout)
    be_printable()
    code = execute()
    if any(thread.daemon for thread in threading.enumerate()):
        # A thread inside torch while the interpreter goes down aborts the process, with a status that says nothing.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def execute() -> int:
    """Run the command line and return its exit code; what ended it early is one line on standard error."""
    try:
        code = app(standalone_mode=False)  # which would draw a box around what a wrong command line means
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else Exit.OK
    except TyperException as error:
        if message := _usage(error):
            say(message, Exit.USAGE)
        return Exit.USAGE
    except StopError as error:
        say(str(error), error.code)
        return error.code
    except Exception as error:
        logging.getLogger("worker").exception("the worker ends after an error", extra={"event": "crashed"})
        say(f"{type(error).__name__}: {error}", Exit.CRASH)
        return Exit.CRASH
    return code if isinstance(code, int) else Exit.OK


def _usage(error: TyperException) -> str:
    """Return what is wrong with the command line in one line; nothing where the help was shown instead."""
    said = " ".join(in_our_words(error.format_message()).split())
    place = getattr(error, "ctx", None)  # not known of every error
    return f"{said} (see {place.command_path} --help)" if said and place else said
