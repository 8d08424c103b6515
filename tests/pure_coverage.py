"""Runs the pure files' own unit tests, and fails where they leave a branch out: `python -m tests.pure_coverage`."""

import sys
from collections.abc import Iterable
from pathlib import Path

import coverage
import pytest

from tests.test_layers import PACKAGE, PURE

TESTS = Path(__file__).parent


def main() -> int:
    """Return the exit status: 0 where every branch of every pure file was taken."""
    pure = [
        file for name in PURE for file in sorted(PACKAGE.glob(f"{name}.py")) + sorted(PACKAGE.glob(f"{name}/[!_]*.py"))
    ]
    files = [str(test) for file in pure for test in sorted(_tests_of(file))]
    measured = coverage.Coverage(data_file=None)  # the rest is in pyproject.toml
    with measured.collect():
        failed = pytest.main(["-q", "-p", "no:cacheprovider", *files])
    covered = measured.report(include=[str(file) for file in pure], show_missing=True)
    return int(failed) or int(covered < 100)


def _tests_of(file: Path) -> Iterable[Path]:
    folder = TESTS / file.parent.relative_to(PACKAGE)
    return folder.glob(f"test_{file.stem}*.py")


if __name__ == "__main__":
    sys.exit(main())
