"""Draws what imports what: `python -m tests.support.import_drawing` writes docs/design/imports.dot from the code."""

from __future__ import annotations

from tests.test_layers import PACKAGE, PARTS, imports_of_parts

FOLDER = PACKAGE.parent / "docs" / "design"
HEAD = """// What imports what: made from the code by `make docs`, which draws docs/design/imports.svg from it.
digraph imports {
  rankdir=TB; nodesep=0.2; ranksep=0.4; bgcolor="white";
  node [shape=box, style="rounded,filled", fillcolor="#eef3f8", color="#5b7288", fontname="Helvetica", fontsize=11];
  edge [color="#8fa3b5", arrowsize=0.6];
"""


def drawing() -> str:
    """Return the drawing in dot's language; an import that a longer way implies is left out."""
    imports = {part: found & set(PARTS) for part, found in imports_of_parts().items()}
    edges = [
        f"  {part} -> {other};"
        for part in PARTS
        for other in PARTS
        if other in imports[part] and not any(other in _reached(imports, way) for way in imports[part] - {other})
    ]
    return HEAD + "\n".join(edges) + "\n}\n"


def _reached(imports: dict[str, set[str]], part: str) -> set[str]:
    return imports[part].union(*(_reached(imports, other) for other in imports[part]))


if __name__ == "__main__":
    (FOLDER / "imports.dot").write_text(drawing(), encoding="utf-8")
