"""Every log line has an event's name of its own, and docs/logs.md lists it."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
WHERE = {"topic", "partition", "offset"}  # what `where(job)` gives


class Line(NamedTuple):
    """What the code or the docs say of an event: its level, and its fields as far as they are known."""

    level: str
    fields: set[str]


def _calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((ROOT / "worker").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def _is_log_call(call: ast.Call) -> bool:
    of = call.func
    return (
        isinstance(of, ast.Attribute)
        and of.attr in LEVELS
        and re.match(r"(log|logging\.getLogger\(.*\))\.\w+$", ast.unparse(of)) is not None
    )


def _written(node: ast.expr | None) -> dict[str, str]:
    """Return the names that a dict in the code gives, with what they are given; of `where(job)` its three."""
    if not isinstance(node, ast.Dict):
        return {}
    found: dict[str, str] = {}
    for name, value in zip(node.keys, node.values, strict=True):
        if isinstance(name, ast.Constant):
            found[str(name.value)] = str(value.value) if isinstance(value, ast.Constant) else ""
        elif name is None and ast.unparse(value) == "where(job)":
            found |= dict.fromkeys(WHERE, "")
    return found


def _in_the_code() -> dict[str, Line]:
    found: dict[str, Line] = {}
    for place, call in _calls():
        keywords = {keyword.arg: keyword.value for keyword in call.keywords}
        if _is_log_call(call):
            assert isinstance(call.func, ast.Attribute)
            fields = _written(keywords.get("extra"))
            event = fields.pop("event", "")
            assert event, f'{place}: expected extra={{"event": …}}'
            fields |= {} if len(call.args) < 2 else _written(call.args[1])
            level = {"exception": "error"}.get(call.func.attr, call.func.attr)
        elif ast.unparse(call.func) == "json_line" and "event" in keywords:
            event, level, fields = str(ast.literal_eval(keywords["event"])), "", {}
        else:
            continue
        assert event not in found, f"{place}: {event} is the name of another line already"
        found[event] = Line(level, set(fields))
    return found


def _in_the_docs() -> dict[str, Line]:
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w, ]+) \| (.*?) \|", (ROOT / "docs" / "logs.md").read_text("utf-8"), re.MULTILINE
    )
    return {event: Line(level, set(re.findall(r"`(\w+)`", fields))) for event, level, fields in rows}


def test_the_docs_list_every_event_with_its_level_and_fields() -> None:
    code, docs = _in_the_code(), _in_the_docs()
    assert docs.keys() == code.keys()
    for event, line in code.items():
        assert line.level in docs[event].level, f"{event} is logged as {line.level}"
        assert line.fields <= docs[event].fields, f"{event}: the docs lack {line.fields - docs[event].fields}"
