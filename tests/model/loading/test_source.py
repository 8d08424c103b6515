"""A model is a folder or a hub id; what is missing is said in one line."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import huggingface_hub.constants
import pytest

from tests.model.conftest import load, score
from worker.exits import Exit, StopError
from worker.model.loading.source import find_source

if TYPE_CHECKING:
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    """A tiny model's folder to spoil."""
    return shutil.copytree(bert, tmp_path / "copy")


def refusal(folder: Path | str, revision: str | None = None) -> str:
    with pytest.raises(StopError) as stopped:
        find_source(str(folder), revision)
    assert stopped.value.code is Exit.MODEL
    message = str(stopped.value)
    assert "\n" not in message
    return message


def test_a_folder_is_named_by_its_name_and_a_digest_of_its_files(copy: Path) -> None:
    first = find_source(str(copy), None).name
    assert first.id == "copy"
    assert len(first.revision) == 12
    assert find_source(f"{copy}/", None).name == first
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        before = find_source(str(copy), None).name.revision
        with (copy / name).open("ab") as file:
            file.write(b" ")
        assert find_source(str(copy), None).name.revision != before


def name_fields(folder: Path, fields: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"product_fields": fields}))


def test_a_model_may_name_the_product_fields_that_it_reads(copy: Path) -> None:
    assert find_source(str(copy), None).product_fields is None
    assert load(copy).product_fields is None
    name_fields(copy, ["title", "brand"])
    assert find_source(str(copy), None).product_fields == ("title", "brand")
    assert load(copy).product_fields == ("title", "brand")


@pytest.mark.parametrize("fields", ["title", [], [1], {"title": 1}])
def test_product_fields_that_are_no_names_are_refused(copy: Path, fields: object) -> None:
    name_fields(copy, fields)
    with pytest.raises(StopError, match=r"config\.json: product_fields: expected a list of attributes") as stopped:
        load(copy)
    assert stopped.value.code is Exit.MODEL


def test_a_folder_may_be_given_a_revision(copy: Path) -> None:
    assert find_source(str(copy), "v3").name == ("copy", "v3")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("config.json", "has no config.json"),
        ("tokenizer.json", "has no tokenizer.json, the fast tokenizer"),
        ("model.safetensors", "has no weights"),
    ],
)
def test_a_folder_that_lacks_a_file_is_refused(copy: Path, name: str, message: str) -> None:
    (copy / name).unlink()
    assert message in refusal(copy)


@pytest.mark.parametrize(
    ("text", "message"), [("{", "config.json cannot be read: JSONDecodeError"), ("[]", "expected an object, got list")]
)
def test_a_broken_configuration_is_refused(copy: Path, text: str, message: str) -> None:
    (copy / "config.json").write_text(text)
    assert message in refusal(copy)


def test_a_file_is_not_a_model(copy: Path) -> None:
    assert "expected a folder" in refusal(copy / "model.safetensors")


@pytest.mark.parametrize("name", ["/no/such/folder", "./models/none", "a/b/c"])
def test_a_path_that_leads_nowhere_is_refused_without_asking_the_hub(name: str) -> None:
    assert "no such folder. Give a folder, or a hub id" in refusal(name)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of the hub, and no hub; the variables themselves are read when the library is imported."""
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    return cache


@pytest.mark.usefixtures("offline")
def test_a_hub_model_that_cannot_be_had_is_refused_with_what_to_do() -> None:
    message = refusal("owner/name", "v1")
    assert "could not be had from the hub at revision 'v1' (HF_HUB_OFFLINE is set)" in message
    assert message.endswith("give its folder.")


def test_a_hub_that_does_not_answer_is_one_clear_line(offline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "could not be had from the hub:" in refusal("owner/name")
    assert not list(offline.glob("**/snapshots/*"))


def test_a_hub_model_in_the_cache_is_named_by_its_commit(offline: Path, bert: Path) -> None:
    repository = offline / "models--owner--name"
    shutil.copytree(bert, repository / "snapshots" / COMMIT)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(COMMIT)
    source = find_source("owner/name", None)
    assert source.name == ("owner/name", COMMIT)
    assert source.config == json.loads((bert / "config.json").read_text())
    assert find_source("owner/name", COMMIT).folder == source.folder


def test_a_model_given_by_a_relative_folder_loads(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bert.parent)
    assert score(load(bert.relative_to(bert.parent)), "mouse", ["wireless mouse"]).shape == (1,)
