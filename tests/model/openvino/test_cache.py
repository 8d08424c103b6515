"""A model is converted once; what is kept on the disk is used only where it is whole and of this very model."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from tests.model.conftest import load, score
from worker.model.loading import weights
from worker.model.openvino import cache as openvino_cache
from worker.model.openvino import loading as openvino_loading
from worker.model.openvino.cache import ConversionCache, user_cache

if TYPE_CHECKING:
    from worker.model.cross_encoder import CrossEncoder

if not importlib.util.find_spec("openvino"):
    pytest.skip("needs the extra openvino", allow_module_level=True)

PRODUCTS = ["wireless mouse", "deck screw", ""]


def load_openvino(folder: Path, cache: Path, **settings: Any) -> CrossEncoder:
    return load(folder, backend="openvino", openvino_cache=str(cache), **settings)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names the folder of each model whose torch weights were loaded to convert it."""
    converted: list[str] = []
    load_weights = weights.load_weights

    def note(source: Any, *rest: Any) -> Any:
        converted.append(source.folder.name)
        return load_weights(source, *rest)

    monkeypatch.setattr(openvino_loading, "load_weights", note)
    return converted


@pytest.fixture
def copy(bert: Path, tmp_path: Path) -> Path:
    """A tiny model's folder to change."""
    return Path(shutil.copytree(bert, tmp_path / "copy"))


def test_the_second_start_loads_no_torch_weights_and_scores_the_same(
    bert: Path, tmp_path: Path, conversions: list[str]
) -> None:
    first = load_openvino(bert, tmp_path / "cache")
    second = load_openvino(bert, tmp_path / "cache")
    assert conversions == [bert.name]
    assert second.max_length == first.max_length
    np.testing.assert_array_equal(score(second, "mouse", PRODUCTS), score(first, "mouse", PRODUCTS))


def test_other_weights_under_the_same_label_are_converted_anew(
    copy: Path, tmp_path: Path, conversions: list[str]
) -> None:
    before = score(load_openvino(copy, tmp_path / "cache", revision="best"), "mouse", PRODUCTS)
    tensors = load_file(copy / "model.safetensors")
    tensors["classifier.bias"] += 1.0
    save_file(tensors, copy / "model.safetensors", metadata={"format": "pt"})
    after = score(load_openvino(copy, tmp_path / "cache", revision="best"), "mouse", PRODUCTS)
    np.testing.assert_allclose(after, before + 1.0, atol=1e-5)
    assert len(conversions) == 2


def test_another_version_of_a_library_converts_anew(
    bert: Path, tmp_path: Path, conversions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    load_openvino(bert, tmp_path)
    for name in ("openvino", "transformers"):
        monkeypatch.setattr(openvino_cache, "version", lambda asked, name=name: f"{asked} {asked == name}")
        load_openvino(bert, tmp_path)
    assert len(conversions) == 3


def spoil_graph(entry: Path) -> None:
    (entry / "model.xml").write_text("<net")


def spoil_weights(entry: Path) -> None:
    data = (entry / "model.bin").read_bytes()
    (entry / "model.bin").write_bytes(data[: len(data) // 2])


def spoil_numbers(entry: Path) -> None:
    data = np.fromfile(entry / "model.bin", np.uint8)
    data[len(data) // 2 :] = 0
    data.tofile(entry / "model.bin")


def spoil_proof(entry: Path) -> None:
    (entry / "proof.npz").unlink()


def spoil_all(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_text("not a folder")


@pytest.mark.parametrize("spoil", [spoil_graph, spoil_weights, spoil_numbers, spoil_proof, spoil_all])
def test_a_broken_entry_is_converted_anew_and_replaced(
    bert: Path, tmp_path: Path, conversions: list[str], caplog: pytest.LogCaptureFixture, spoil: Any
) -> None:
    expected = score(load_openvino(bert, tmp_path), "mouse", PRODUCTS)
    [entry] = tmp_path.iterdir()
    spoil(entry)
    with caplog.at_level(logging.WARNING, "worker"):
        again = score(load_openvino(bert, tmp_path), "mouse", PRODUCTS)
    np.testing.assert_array_equal(again, expected)
    [line] = [record.getMessage() for record in caplog.records]
    assert f"the converted model in {entry} cannot be used and is made anew: " in line
    assert "\n" not in line
    assert list(tmp_path.iterdir()) == [entry]
    load_openvino(bert, tmp_path)
    assert len(conversions) == 2


def test_a_folder_that_cannot_be_written_is_gone_without(
    bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING, "worker"):
        model = load_openvino(bert, tmp_path / "file" / "cache")
    assert np.isfinite(score(model, "mouse", PRODUCTS)).all()
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"the converted model cannot be kept in {tmp_path / 'file' / 'cache'}: NotADirectoryError")


def test_a_replica_that_started_at_once_and_is_later_leaves_the_entry_of_the_first(
    bert: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_openvino(bert, tmp_path)
    [entry] = tmp_path.iterdir()
    written = {path: path.stat().st_mtime_ns for path in entry.iterdir()}
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "worker"):
        # It has looked before the first had written.
        patch.setattr(ConversionCache, "read", lambda *_: None)
        second = load_openvino(bert, tmp_path)
    np.testing.assert_array_equal(score(second, "mouse", PRODUCTS), score(first, "mouse", PRODUCTS))
    assert [record.getMessage() for record in caplog.records] == []
    assert list(tmp_path.iterdir()) == [entry]
    assert {path: path.stat().st_mtime_ns for path in entry.iterdir()} == written
    assert {path.name for path in written} == {"model.bin", "model.xml", "proof.npz"}


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"XDG_CACHE_HOME": "/var/cache/me", "HOME": "/home/me"}, "/var/cache/me/rerank-worker/openvino"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.cache/rerank-worker/openvino"),
        ({"HOME": "/home/me"}, "/home/me/.cache/rerank-worker/openvino"),
        ({}, "/.cache/rerank-worker/openvino"),
    ],
)
def test_the_users_cache_is_where_the_system_has_it(environ: dict[str, str], folder: str) -> None:
    assert user_cache(environ) == Path(folder)


def test_the_folder_may_be_the_users_cache(bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    load(bert, backend="openvino", openvino_cache=None)
    [entry] = (tmp_path / "rerank-worker" / "openvino").iterdir()
    assert entry.name.startswith(bert.name)
