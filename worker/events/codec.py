"""Decodes the bytes of a record to a valid request, or says why it is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import orjson
from annotated_types import Ge, Gt, Le, MinLen
from typing_extensions import Doc

from worker.events.schema import Contract, can_be_written, load_schema, path_text, shown
from worker.flow.job import Request

if TYPE_CHECKING:
    from worker.records import Record

# Why an event was refused: the values of a metric label, so the set is fixed.
REASONS = (
    *("tombstone", "too_large", "not_utf8", "not_json", "too_deep"),
    *("schema", "duplicate_ids", "text_too_long", "no_text"),
)

# For a model that names none of its own, as the reference model does not.
USUAL_PRODUCT_FIELDS = ("title", "brand", "color", "bullet_points", "description")

_BOM = b"\xef\xbb\xbf"
_TOO_DEEP = "expected at most 250 levels of nesting, got more"  # orjson writes 254 and reads 1,024
_ATTRIBUTE = "a string, a number, a boolean or an array"
_STEPS = 10  # into an attribute, in the path of an error
_NEAR = 20  # characters of a broken document in the error


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """What the worker accepts as an event, and how it makes the text of a candidate."""

    product_fields: Annotated[
        tuple[str, ...] | None,
        MinLen(1),
        Doc(
            "Attributes of a candidate that make up its text, in this order; others are ignored. If not given, those "
            f"that the model's config.json names as product_fields, or else {','.join(USUAL_PRODUCT_FIELDS)}."
        ),
    ] = None
    field_separator: Annotated[str, Doc("What stands between two attributes in a candidate's text.")] = " "
    max_candidates: Annotated[
        int, Ge(1), Le(1000), Doc("Most candidates in an event; one with more becomes a dead letter.")
    ] = 1000
    max_event_bytes: Annotated[
        int, Gt(0), Doc("Largest record that is read, in bytes; a larger one becomes a dead letter.")
    ] = 4 * 1024 * 1024
    max_text_chars: Annotated[
        int, Gt(0), Doc("Longest query or candidate text, in characters; with a longer one the event is a dead letter.")
    ] = 20_000
    default_budget_ms: Annotated[
        float, Gt(0), Le(600_000), Doc("Latency budget of an event that names none, in milliseconds.")
    ] = 1000.0


class InvalidEvent(Exception):  # noqa: N818  # it is the event that is invalid; the name is the design's
    """Why a record is no valid request: `reason` is one of REASONS, `path` is None where the fault is the whole of it.

    The text names the path, what was expected and what came; it quotes at most some 100 characters of the event.
    """

    def __init__(self, reason: str, message: str, path: str | None = None) -> None:
        super().__init__(f"{path or 'event'}: {message}")
        self.reason = reason
        self.message = message
        self.path = path


def product_fields(options: EventOptions, of_model: tuple[str, ...] | None) -> tuple[str, ...]:
    """Return the attributes that make up a candidate's text, given those that the model names, if it names any."""
    return options.product_fields or of_model or USUAL_PRODUCT_FIELDS


class Decoder:
    """Turns records into requests, by the request schema with the limits of the options.

    `model_fields` are the attributes that the model names as its own, if it names any.
    """

    def __init__(self, options: EventOptions, model_fields: tuple[str, ...] | None = None) -> None:
        schema = load_schema("rerank-request.v1.json")
        schema["properties"]["candidates"]["maxItems"] = options.max_candidates
        self._contract = Contract(schema)
        self._options = options
        self._product_fields = product_fields(options, model_fields)

    def decode(self, record: Record) -> Request:
        """Return the valid request in a record, or raise InvalidEvent and nothing else."""
        event = self._parse(record.value)
        if not self._contract.is_valid(event):
            if not can_be_written(event):
                raise InvalidEvent("too_deep", _TOO_DEEP)
            finding = self._contract.find(event)
            raise InvalidEvent("schema", finding.message, finding.path)
        metadata = event.get("metadata")
        if isinstance(metadata, (dict, list)):
            metadata = _carried(metadata)
        candidates = event["candidates"]
        ids = [candidate["id"] for candidate in candidates]
        if len(set(ids)) < len(ids):
            _refuse_duplicate(ids)
        top_k = event.get("top_k")
        return Request(
            request_id=event["request_id"],
            query=event["query"],
            candidate_ids=ids,
            texts=self._texts(event["query"], candidates),
            top_k=None if top_k is None else int(top_k),  # JSON Schema calls 10.0 an integer
            budget_ms=event.get("budget_ms"),
            priority=int(event.get("priority") or 0),
            metadata=metadata,
        )

    def _parse(self, value: bytes | None) -> Any:
        if value is None:
            raise InvalidEvent("tombstone", "expected a JSON object, got a record without a value (a tombstone)")
        limit = self._options.max_event_bytes
        if len(value) > limit:
            raise InvalidEvent("too_large", f"expected at most {limit} bytes, got {len(value)}")
        body = value.removeprefix(_BOM)  # RFC 8259 lets a reader ignore it, and some producers write it
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise _unreadable(body, error) from None

    def _texts(self, query: str, candidates: list[dict[str, Any]]) -> list[str]:
        join = self._join
        texts = [
            join(at, each["fields"]) if each.get("text") is None else each["text"] for at, each in enumerate(candidates)
        ]
        lengths, limit = list(map(len, texts)), self._options.max_text_chars
        if len(query) > limit:
            raise _too_long(limit, len(query), "query")
        if (longest := max(lengths)) > limit:
            at = lengths.index(longest)
            source = "fields" if candidates[at].get("text") is None else "text"
            raise _too_long(limit, longest, path_text(("candidates", at, source)))
        if not any(map(str.strip, texts)):
            names = ", ".join(self._product_fields)
            message = f"expected text in at least one, got none in {len(texts)}; attributes that are read: {names}"
            raise InvalidEvent("no_text", message, "candidates")
        return texts

    def _join(self, candidate: int, fields: dict[str, Any]) -> str:
        """Return the text of the attributes that are read; raises InvalidEvent where one of them has none."""
        parts: list[str] = []
        for name in self._product_fields:
            value = fields.get(name)
            if isinstance(value, str):
                parts.append(value.strip())
            elif isinstance(value, dict | list):
                parts.extend(_texts_in(value, ("candidates", candidate, "fields", name)))
            elif value is not None:
                parts.append(_written(value))
        return self._options.field_separator.join(filter(None, parts))


def _carried(metadata: Any) -> orjson.Fragment:
    """Return metadata as it will stand in the result: as objects it may take thirty times as much memory."""
    try:
        written = orjson.dumps({"metadata": metadata})
    except TypeError:  # its JSONEncodeError, for what is nested too deep
        raise InvalidEvent("too_deep", _TOO_DEEP, "metadata") from None  # the result could not carry it back
    return orjson.Fragment(written[len(b'{"metadata":') : -1])


def _texts_in(value: Any, path: tuple[str | int, ...]) -> list[str]:
    """Return the texts in an attribute, arrays in arrays included; nulls have none. Raises InvalidEvent for an object.

    Not recursive: orjson reads more levels than Python's stack has room for.
    """
    texts: list[str] = []
    levels, places = [enumerate([value])], [0]  # the arrays that are being read, and where each of them is
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            places.pop()
            continue
        places[-1], one = found
        if isinstance(one, list):
            levels.append(enumerate(one))
            places.append(0)
        elif isinstance(one, dict):
            at = path_text((*path, *places[1 : 1 + _STEPS]))
            raise InvalidEvent("schema", f"expected {_ATTRIBUTE}, got an object", at)
        elif one is not None:
            texts.append(one.strip() if isinstance(one, str) else _written(one))
    return texts


def _written(value: bool | float) -> str:  # noqa: FBT001 - it is one of an event's values
    """Return a number or a boolean as JSON writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _unreadable(body: bytes, error: orjson.JSONDecodeError) -> InvalidEvent:
    try:
        text = body.decode()
    except UnicodeDecodeError as at:
        return InvalidEvent("not_utf8", f"expected UTF-8, got the byte 0x{body[at.start]:02x} at position {at.start}")
    if not text.strip():
        return InvalidEvent("not_json", "expected a JSON object, got an empty value")
    if "depth limit" in error.msg:
        return InvalidEvent("too_deep", _TOO_DEEP)
    near = shown(text[error.pos : error.pos + _NEAR] or "the end")
    at_place = f"line {error.lineno} column {error.colno}"
    return InvalidEvent("not_json", f"expected JSON, got {near} at {at_place}: {error.msg}")


def _too_long(limit: int, length: int, path: str | None) -> InvalidEvent:
    return InvalidEvent("text_too_long", f"expected at most {limit} characters, got {length}", path)


def _refuse_duplicate(ids: list[str]) -> NoReturn:
    first: dict[str, int] = {}
    at = next(i for i, name in enumerate(ids) if first.setdefault(name, i) != i)
    message = f"expected unique ids, got {shown(ids[at])}, the id of candidates[{first[ids[at]]}]"
    raise InvalidEvent("duplicate_ids", message, path_text(("candidates", at, "id")))
