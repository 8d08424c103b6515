import json
import re
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from worker.events.schema import Schema, load_schema
from worker.observe.metrics import Metrics

NAMES = ("rerank-request.v1.json", "rerank-result.v1.json", "dead-letter.v1.json")
FOLDER = Path(__file__).parent.parent / "schemas"


@pytest.fixture(params=NAMES)
def schema(request: pytest.FixtureRequest) -> Schema:
    return load_schema(request.param)


def undescribed(schema: Any, at: str) -> list[str]:
    """List the fields without a description; alternatives of an anyOf only repeat fields that have one."""
    if not isinstance(schema, dict):
        return []
    inner = [*schema.get("properties", {}).items()]
    inner += [(key, schema[key]) for key in ("items", "additionalProperties") if key in schema]
    missing = [f"{at}.{name}" for name, part in inner if "description" not in part]
    return missing + [gap for name, part in inner for gap in undescribed(part, f"{at}.{name}")]


def test_each_file_of_the_folder_is_tested_here() -> None:
    assert sorted(path.name for path in FOLDER.iterdir()) == sorted(NAMES)


def test_a_schema_is_a_valid_schema_of_2020_12(schema: Schema) -> None:
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert jsonschema_rs.meta.is_valid(schema)


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_is_identified_by_its_name_and_version(name: str) -> None:
    match = re.fullmatch(r"([a-z-]+)\.(v\d+)\.json", name)
    assert match
    assert load_schema(name)["$id"] == f"urn:rerank-worker:schema:{match[1]}:{match[2]}"


def test_every_field_is_described(schema: Schema) -> None:
    assert schema["title"]
    assert schema["description"]
    assert undescribed(schema, "") == []


def test_the_examples_are_valid(schema: Schema) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    assert schema["examples"]
    for example in schema["examples"]:
        validator.validate(example)


def test_the_outcomes_of_the_examples_are_some_that_the_worker_counts_and_each_reason_is_explained() -> None:
    families = Metrics(()).registry.collect()
    counted = [
        sample.labels for family in families for sample in family.samples if sample.name == "rerank_events_total"
    ]
    schema = load_schema("rerank-result.v1.json")
    for example in schema["examples"]:
        assert {"outcome": example["outcome"], "reason": example["reason"]} in counted
    for labels in counted:
        assert f"{labels['reason']}: " in schema["properties"]["reason"]["description"]


def test_unknown_fields_are_allowed(schema: Schema) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema, validate_formats=True)
    assert validator.is_valid({**schema["examples"][0], "some_day": ["more"]})


def test_every_required_field_is_missed(schema: Schema) -> None:
    validator = jsonschema_rs.Draft202012Validator(schema)
    for name in schema["required"]:
        assert name in schema["properties"]
        assert not validator.is_valid({key: value for key, value in schema["examples"][0].items() if key != name})


def test_an_installed_package_reads_its_own_schemas(tmp_path: Path) -> None:
    package = tmp_path / "worker"
    (package / "schemas").mkdir(parents=True)
    (package / "schemas" / "a.v1.json").write_text(json.dumps({"title": "installed"}))
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.v1.json").write_text(json.dumps({"title": "beside"}))
    assert load_schema("a.v1.json", package) == {"title": "installed"}


def test_a_checkout_reads_the_schemas_beside_the_package(tmp_path: Path) -> None:
    (tmp_path / "worker").mkdir()
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "a.v1.json").write_text(json.dumps({"title": "beside"}))
    assert load_schema("a.v1.json", tmp_path / "worker") == {"title": "beside"}


def test_the_examples_of_the_documentation_are_valid() -> None:
    for name, example in zip(NAMES[:2], _examples("docs/events.md"), strict=True):
        jsonschema_rs.Draft202012Validator(load_schema(name)).validate(example)


def test_the_request_of_the_first_page_is_valid_and_its_result_has_no_field_that_results_do_not_have() -> None:
    request, shortened = _examples("README.md")
    jsonschema_rs.Draft202012Validator(load_schema(NAMES[0])).validate(request)
    assert shortened.keys() <= load_schema(NAMES[1])["properties"].keys()


def _examples(page: str) -> list[Any]:
    text = (FOLDER.parent / page).read_text("utf-8")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
