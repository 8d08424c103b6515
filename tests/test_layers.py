"""The folder listing is the architecture: imports go down the list of layers only."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "worker"

# Each row may import from its own row and from those above it.
LAYERS = (
    (
        "exits",
        "thread_name",
        "jobs",
        "channel",
        "pipeline",
        "attempt",
        "registry",
        "metrics",
        "logs",
        "signals",
        "watchdog",
        "printable",
        "stand_ins",
    ),
    (
        *(
            "contract",
            "events",
            "tracker",
            "lag",
            "clock_skew",
            "door",
            "ordering",
            "dead_letter_limits",
            "in_flight",
            "corrupt_records",
        ),
        *("scheduling", "transaction", "ranking"),
    ),
    ("model",),
    ("kafka_io", "dead_letters", "status", "server", "traces"),
    ("delivery",),
    ("stages", "gauges", "tally", "intake", "commits", "loop"),
    ("options", "validation", "settings_file", "settings", "flags", "watched", "loading", "line", "app"),
    ("demo", "tools", "training"),
    ("commands", "cli", "__main__"),
)
ROW = {name: number for number, row in enumerate(LAYERS) for name in row}

# Which part may use which library: the others go through that part.
OWNERS = {
    "torch": {"model", "training"},
    "transformers": {"model", "training"},
    "tokenizers": {"model", "training"},
    "openvino": {"model"},
    "pynvml": {"model"},
    "kafka": {"kafka_io", "tools"},
    "http": {"server"},
    "opentelemetry": {"traces"},
    "threading": {
        "cli",
        "channel",
        "pipeline",
        "signals",
        "watchdog",
        "server",
        "model",
        "kafka_io",
        "traces",
        "tools",
    },
}

# Policies take the time as an argument, and do nothing but think.
PURE = LAYERS[1]
CLOCKS_AND_THREADS = {"time", "threading", "queue", "socket", "subprocess", "random"}


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(tree: ast.AST) -> Iterator[str]:
    """Yield what is imported at run time: a name needed for a type only may come from anywhere."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            yield from (f"{module}.{alias.name}" for alias in node.names)
        yield from _imports(node)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_downwards_and_only_the_libraries_of_its_part(path: Path) -> None:
    part = _part(path)
    for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        library, _, rest = name.partition(".")
        if library == "worker" and (imported := rest.partition(".")[0]) in ROW:
            assert ROW[imported] <= ROW[part], f"{part} imports {imported}, which lies above it"
        assert part in OWNERS.get(library, {part}), f"{part} imports {library}"
        assert part not in PURE or library not in CLOCKS_AND_THREADS, f"{part} is pure and imports {library}"


def test_every_part_has_its_place_in_the_list() -> None:
    assert {_part(path) for path in _modules()} <= ROW.keys()
