from typing import Any

import pytest

from worker.events.schema import Contract, Finding, can_be_written, path_text, shown


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        ({"type": "string"}, 3, "expected a string, got 3"),
        ({"type": ["string", "null"]}, True, "expected a string, got true"),
        (
            {"type": ["string", "number", "boolean", "null"]},
            {},
            "expected a string, a number or a boolean, got an object",
        ),
        ({"type": "object"}, [1, 2], "expected an object, got an array of 2"),
        ({"type": "integer"}, 1.5, "expected an integer, got 1.5"),
        ({"type": "integer"}, None, "expected an integer, got null"),
        ({"minItems": 1, "maxItems": 3}, [], "expected 1 to 3, got 0"),
        ({"minItems": 1, "maxItems": 3}, [0] * 4, "expected 1 to 3, got 4"),
        ({"minLength": 1}, "", "expected at least 1 characters, got 0"),
        ({"minLength": 1, "maxLength": 3}, "four", "expected 1 to 3 characters, got 4"),
        ({"minimum": 0, "maximum": 9}, 10, "expected 0 to 9, got 10"),
        ({"minimum": 1}, 0, "expected at least 1, got 0"),
        ({"exclusiveMinimum": 0, "maximum": 5}, 0, "expected more than 0, at most 5, got 0"),
        ({"exclusiveMinimum": 0, "maximum": 5}, 6, "expected more than 0, at most 5, got 6"),
        ({"pattern": r"\S"}, " \t", r'expected more than white space, got " \t"'),
        ({"pattern": "^[0-9]+$"}, "1a", 'expected pattern ^[0-9]+$, got "1a"'),
        ({"const": "1"}, "2", 'expected const 1, got "2"'),
    ],
)
def test_a_fault_says_what_was_expected_and_what_came(rule: dict[str, Any], value: Any, message: str) -> None:
    contract = Contract({"properties": {"here": rule}})
    assert not contract.is_valid({"here": value})
    assert contract.find({"here": value}) == Finding(("here",), message)


def test_a_fault_of_the_whole_document_has_no_path() -> None:
    assert Contract({"type": "object"}).find("text") == Finding((), 'expected an object, got "text"')


def test_an_empty_name_is_part_of_the_path_although_the_validator_leaves_it_out() -> None:
    contract = Contract({"additionalProperties": {"additionalProperties": {"items": {"type": "string"}}}})
    found = contract.find({"fields": {"": ["a", None]}})
    assert found == Finding(("fields", "", 1), "expected a string, got null")
    assert found.path == 'fields[""][1]'


def test_a_missing_field_is_named_in_the_path() -> None:
    contract = Contract({"properties": {"items": {"items": {"required": ["id"]}}}})
    assert contract.find({"items": [{"id": 1}, {}]}) == Finding(
        ("items", 1, "id"), "expected this required field, got none"
    )


def test_a_missing_field_is_named_before_a_fault_inside_another() -> None:
    contract = Contract({"properties": {"a": {"items": {"type": "string"}}}, "required": ["b"]})
    assert contract.find({"a": [1, 2, 3]}) == Finding(("b",), "expected this required field, got none")


def test_a_valid_document_has_no_fault_to_find() -> None:
    with pytest.raises(ValueError, match="expected a document that breaks the schema, got a valid one"):
        Contract({"type": "object"}).find({})


ONE_OF_TWO = {
    "properties": {"text": {"type": "string"}},
    "anyOf": [{"required": ["text"], "properties": {"text": {"type": "string"}}}, {"required": ["fields"]}],
}


def test_alternatives_that_are_all_missing_are_named() -> None:
    assert Contract(ONE_OF_TWO).find({}) == Finding((), "expected text or fields, got neither")


def test_a_fault_inside_an_alternative_is_named_before_the_alternatives() -> None:
    assert Contract(ONE_OF_TWO).find({"text": 5}) == Finding(("text",), "expected a string, got 5")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ([], None),
        (["query"], "query"),
        (["candidates", 3, "fields", "color"], "candidates[3].fields.color"),
        (["fields", "bullet-points"], 'fields["bullet-points"]'),
        (["fields", 'a "b"\n'], 'fields["a \\"b\\"\\n"]'),
        (["fields", "x" * 41], f'fields["{"x" * 40}…"]'),
        ([0], "[0]"),
    ],
)
def test_a_path_reads_like_code(path: list[str | int], text: str | None) -> None:
    assert path_text(tuple(path)) == text
    assert Finding(tuple(path), "wrong").path == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("short", '"short"'),
        ("x" * 60, f'"{"x" * 60}"'),
        ("x" * 61, f'"{"x" * 60}"… (61 characters)'),
        ("two\nlines", '"two\\nlines"'),
        ("größe", '"größe"'),
        (False, "false"),
        (None, "null"),
        ([1, 2], "an array of 2"),
        ({"a": 1}, "an object"),
    ],
)
def test_a_value_is_shown_in_one_short_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.timeout(10)  # to list them all takes half a minute and 2 GB
def test_a_document_with_a_million_faults_is_told_by_its_first() -> None:
    contract = Contract({"items": {"type": "string"}})
    assert contract.find([0] * 1_000_000) == Finding((0,), "expected a string, got 0")


def nested(levels: int) -> list[Any]:
    document: list[Any] = []
    for _ in range(levels - 1):
        document = [document]
    return document


def test_what_cannot_be_written_is_told_from_what_can() -> None:
    assert can_be_written(nested(250))
    assert not can_be_written(nested(300))


def test_whatever_can_be_written_can_be_searched_for_faults() -> None:
    # The validator has a depth limit of its own; orjson's is the smaller one, so passing it is enough.
    deepest = max(levels for levels in range(200, 1000) if can_be_written(nested(levels)))
    assert Contract({"type": "object"}).find(nested(deepest)) == Finding((), "expected an object, got an array of 1")
