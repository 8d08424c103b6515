"""The folder listing is the architecture: imports, those for types included, go up the listing only."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "worker"

LISTING = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
# A part may import itself and the parts that stand above it in the listing.
PARTS = re.findall(
    r"^  (\w+)/?(?:  .*)?$", LISTING.partition("\nworker/\n")[2].partition("\nschemas/")[0], re.MULTILINE
)
RANK = {name: number for number, name in enumerate(PARTS)}

# Which part may use which library: the others go through that part.
OWNERS = {
    "torch": {"model", "training"},
    "transformers": {"model", "training"},
    "tokenizers": {"model", "training", "tools"},
    "openvino": {"model"},
    "pynvml": {"model"},
    "kafka": {"kafka_io", "tools"},
    "http": {"server"},
    "opentelemetry": {"traces"},
    "threading": {"cli", "flow", "app", "observe", "server", "model", "kafka_io", "traces", "tools"},
}

# Policies take the time as an argument, and do nothing but think.
PURE = ("offsets", "events", "admission", "scheduling", "delivery/transaction", "dead_letters/corrupt_records")
CLOCKS_AND_THREADS = {"time", "threading", "queue", "socket", "subprocess", "random"}


def _modules() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def _part(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of_parts() -> dict[str, set[str]]:
    """Return what each part imports of the others, names for types included."""
    found: dict[str, set[str]] = {part: set() for part in PARTS}
    for path in _modules():
        names = _imports(ast.parse(path.read_text(encoding="utf-8")))
        found[_part(path)] |= {name.split(".")[1] for name in names if name.startswith("worker.")} - {_part(path)}
    return found


def _is_pure(path: Path) -> bool:
    return str(path.relative_to(PACKAGE).with_suffix("")).startswith(PURE)


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_what_is_above_it_and_only_the_libraries_of_its_part(path: Path) -> None:
    part = _part(path)
    for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
        library, _, rest = name.partition(".")
        if library == "worker" and (imported := rest.partition(".")[0]) in RANK:
            assert RANK[imported] <= RANK[part], f"{part} imports {imported}, which stands below it"
        assert part in OWNERS.get(library, {part}), f"{part} imports {library}"
        assert not _is_pure(path) or library not in CLOCKS_AND_THREADS, f"{path.name} is pure and imports {library}"


def test_the_listing_has_every_part_and_no_other() -> None:
    assert {_part(path) for path in _modules()} | {"demo"} == set(PARTS)


def test_the_root_has_six_files_at_most() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 6
