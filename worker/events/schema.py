"""The JSON Schemas that are the contract, and what is wrong with a document in words that its producer understands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jsonschema_rs
import orjson

from worker.terminal.printable import shortened

if TYPE_CHECKING:
    from collections.abc import Iterable

Schema = dict[str, Any]

_PACKAGE = Path(__file__).parent.parent
_MAX_SHOWN = 60  # characters of the user's data in an error
_MAX_NAMED = 40  # characters of one field name in a path
_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "a boolean",
    "object": "an object",
    "array": "an array",
}
_BOUNDS = (
    ("minItems", "maxItems", ""),
    ("minLength", "maxLength", " characters"),
    ("minimum", "maximum", ""),
)


class Finding(NamedTuple):
    """What is wrong: the steps to the place (none for the document itself), and what was expected and what came."""

    steps: tuple[str | int, ...]
    message: str

    @property
    def path(self) -> str | None:
        """Return the place as `path_text` writes it."""
        return path_text(self.steps)


def load_schema(name: str, package: Path = _PACKAGE) -> Schema:
    """Read a schema file such as `rerank-request.v1.json`: a wheel has them in the package, a checkout beside it."""
    inside = package / "schemas"
    folder = inside if inside.is_dir() else package.parent / "schemas"
    schema: Schema = orjson.loads((folder / name).read_bytes())
    return schema


class Contract:
    """A compiled schema. `is_valid` is cheap; `find` is for a document that is not valid."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
        self.is_valid = self._validator.is_valid

    def find(self, document: Any) -> Finding:
        """Say what is wrong with an invalid document that `can_be_written`.

        It is the first fault that the validator meets, a missing field before those inside of the others. Collecting
        them all to choose from would let one bad record of 4 MB take a minute and 5 GB.
        """
        try:
            self._validator.validate(document)
        except jsonschema_rs.ValidationError as error:
            return self._in_words(error, document)
        raise ValueError("expected a document that breaks the schema, got a valid one")

    def _in_words(self, error: jsonschema_rs.ValidationError, document: Any) -> Finding:
        steps, came = _steps(error.instance_path, document), error.instance
        if isinstance(error.kind, jsonschema_rs.ValidationErrorKind.Required):
            return Finding((*steps, error.kind.property), "expected this required field, got none")
        rule = self._schema
        for step in error.schema_path[:-1]:
            rule = rule[step]  # type: ignore[index]  # the steps into a list of alternatives are integers
        return Finding(steps, _message(error.kind.name, rule, came))


def _steps(path: Iterable[str | int], document: Any) -> tuple[str | int, ...]:
    """Return the path with the steps through empty names, which the validator leaves out."""
    steps: list[str | int] = []
    came = document
    for step in path:
        while isinstance(came, dict) and step not in came:
            steps.append("")
            came = came[""]
        steps.append(step)
        came = came[step]
    return tuple(steps)


def can_be_written(document: Any) -> bool:
    """Whether a parsed document is shallow enough to be written as JSON again (orjson reads deeper than it writes)."""
    try:
        orjson.dumps(document)
    except TypeError:  # its JSONEncodeError: the only thing that parsed JSON can fail on is depth
        return False
    return True


def shown(value: Any) -> str:
    """Return a value for an error message: never long, never more than one line."""
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, dict):
        return "an object"
    text = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and len(value) > _MAX_SHOWN:
        return f"{json.dumps(value[:_MAX_SHOWN], ensure_ascii=False)}… ({len(value)} characters)"
    return text


def path_text(path: tuple[str | int, ...]) -> str | None:
    """Write a path as `candidates[3].fields.color`; a name that is no plain word is quoted, and a long one cut."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.isidentifier() and len(step) <= _MAX_NAMED:
            text += f".{step}" if text else step
        else:
            text += f"[{json.dumps(shortened(step, _MAX_NAMED), ensure_ascii=False)}]"
    return text or None


def _message(keyword: str, rule: Schema, came: Any) -> str:
    if keyword == "anyOf":
        return f"expected {_either([name for way in rule['anyOf'] for name in way['required']])}, got neither"
    for low, high, unit in _BOUNDS:
        if keyword in {low, high, "exclusiveMinimum"} and (low in rule or high in rule):
            amount = shown(came) if low == "minimum" else len(came)
            return f"expected {_range(rule, low, high)}{unit}, got {amount}"
    if keyword == "type":
        expected = _types(rule["type"])
    elif keyword == "pattern" and rule["pattern"] == r"\S":
        expected = "more than white space"
    else:
        expected = f"{keyword} {rule[keyword]}"
    return f"expected {expected}, got {shown(came)}"


def _types(types: str | list[str]) -> str:
    # That null is taken for "absent" is a courtesy; what a producer should send is one of the others.
    return _either([_TYPES[name] for name in ([types] if isinstance(types, str) else types) if name != "null"])


def _either(words: list[str]) -> str:
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _range(rule: Schema, low: str, high: str) -> str:
    if "exclusiveMinimum" in rule:
        return f"more than {rule['exclusiveMinimum']}, at most {rule[high]}"
    return f"{rule[low]} to {rule[high]}" if high in rule else f"at least {rule[low]}"
