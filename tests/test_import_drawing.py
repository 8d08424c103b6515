"""docs/design/imports.dot, from which the picture is drawn, shows the imports of today."""

from __future__ import annotations

from tests.support.import_drawing import FOLDER, drawing


def test_the_drawing_shows_the_imports_of_today() -> None:
    assert (FOLDER / "imports.dot").read_text(encoding="utf-8") == drawing(), "run `make docs`"
