"""A run of the whole suite on two processes: which tests share one, which begin, and what each says at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from worker.tools.local import children

if TYPE_CHECKING:
    from collections.abc import Sequence

    from xdist.workermanage import WorkerController

_PROCESSES = 2  # each has brokers of its own, and waits for half of its time
_FAULTS = "tests/faults/"
# What takes long comes first, so that neither process is left alone with it.
_LONGEST = (_FAULTS, "tests/integration/", "tests/tools/", "tests/deploy/", "tests/kafka_io/", "tests/model/")
_PORT_SHARES = 8  # more than processes: one that crashed is replaced by one with the next number

_SAID = pytest.StashKey[list[tuple[str, list[str]]]]()
_OUTPUT = "said"


def say(config: pytest.Config, title: str, lines: Sequence[str]) -> None:
    """Have these lines printed at the end of the run, whichever process this is."""
    config.stash[_SAID].append((title, list(lines)))


class _ByFile(LoadScopeScheduling):  # type: ignore[misc]  # it comes without types
    """Gives a process one file after the other; all faults are one, since their stage tries them at once."""

    def _split_scope(self, nodeid: str) -> str:
        return _FAULTS if nodeid.startswith(_FAULTS) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Take one process where files or folders are named."""
    return 0 if config.getoption("file_or_dir") else _PROCESSES


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute by file, in the order in which they are collected."""
    config.option.loadscopereorder = False
    return _ByFile(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Take ports, where this is one process of several, that no other one takes."""
    config.stash[_SAID] = []
    given = _worker_input(config)
    if given is None:
        return
    getattr(config, "workeroutput", {})[_OUTPUT] = config.stash[_SAID]
    share = (children._LAST_PORT - children._FIRST_PORT) // _PORT_SHARES
    children._FIRST_PORT += int(given["workerid"].removeprefix("gw")) % _PORT_SHARES * share
    children._LAST_PORT = children._FIRST_PORT + share - 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes longest, where another process has the rest."""
    if _worker_input(config) is not None:
        items.sort(key=_rank)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: WorkerController) -> None:
    """Keep what a process that has ended had to say."""
    node.config.stash[_SAID] += getattr(node, "workeroutput", {}).get(_OUTPUT, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print what was to be said."""
    for title, lines in config.stash[_SAID]:
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)


def _rank(item: pytest.Item) -> int:
    return next((rank for rank, folder in enumerate(_LONGEST) if item.nodeid.startswith(folder)), len(_LONGEST))


def _worker_input(config: pytest.Config) -> dict[str, Any] | None:
    """Return what xdist gives to one process of several; None where this is the only one, or the one that divides."""
    return getattr(config, "workerinput", None)
