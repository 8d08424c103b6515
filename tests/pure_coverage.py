"""Runs the pure files' own unit tests, and fails where they leave a branch out: `python -m tests.pure_coverage`."""

import sys
from pathlib import Path

import coverage
import pytest

from tests.test_layers import PURE

TESTS = Path(__file__).parent


def main() -> int:
    """Return the exit status: 0 where every branch of every pure file was taken."""
    files = [str(path) for name in PURE for path in sorted(TESTS.glob(f"test_{name}*.py"))]
    measured = coverage.Coverage(data_file=None)  # the rest is in pyproject.toml
    with measured.collect():
        failed = pytest.main(["-q", "-p", "no:cacheprovider", *files])
    covered = measured.report(include=[f"worker/{name}.py" for name in PURE], show_missing=True)
    return int(failed) or int(covered < 100)


if __name__ == "__main__":
    sys.exit(main())
