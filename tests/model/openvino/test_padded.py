"""OpenVINO scores as an unbatched transformers forward does, or does not score at all."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from tests.model.conftest import Reference, assert_neighbours_do_not_matter, load, score, sigmoid
from tests.model.tiny import POSITIONS, save_family, texts
from tests.model.torch.test_padded import rows
from worker.events.ranking import ACTIVATIONS
from worker.exits import Exit, StopError
from worker.model import choose_backend as backends
from worker.model.backend import NonFiniteLogitError
from worker.model.openvino import loading as openvino_loading
from worker.model.openvino import model as openvino_model
from worker.model.openvino import proof as openvino_proof
from worker.model.openvino.model import has_bfloat16
from worker.model.openvino.padded import OpenVinoPadded
from worker.tools.demo.place import MODEL

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from worker.model.cross_encoder import CrossEncoder

# Not importorskip, which imports the library itself, with its telemetry.
if not importlib.util.find_spec("openvino"):
    pytest.skip("needs the extra openvino", allow_module_level=True)

QUERY = "wireless mouse café"
PRODUCTS = [*texts(40, seed=3, longest=30), "", "mouse"]
HAS_BFLOAT16 = has_bfloat16()
PAD, BAD = 9, 66


@pytest.fixture
def padded(make_family: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that torch pads, on a processor that seems to have AMX."""
    monkeypatch.setattr(backends, "has_matrix_unit", lambda: True)
    return make_family("distilbert")


def load_openvino(folder: Path, **settings: Any) -> CrossEncoder:
    return load(folder, backend="openvino", **settings)


def assert_equal_scores(model: CrossEncoder, logits: np.ndarray, expected: np.ndarray) -> None:
    activation = ACTIVATIONS[model.activation]
    assert np.ptp(expected) > 0.1, "the model gives all pairs one logit: nothing could differ"
    np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-4)
    np.testing.assert_allclose(activation(logits.astype(np.float64)), sigmoid(expected), rtol=0, atol=1e-5)


def test_float32_scores_are_those_of_an_unbatched_forward(folder: Path) -> None:
    model = load_openvino(folder, group_tokens=300)
    expected = Reference(folder).logits(QUERY, PRODUCTS, truncation="longest_first", max_length=POSITIONS)
    assert (model.backend_name, model.device, model.dtype) == ("openvino", "cpu", "float32")
    assert model.max_length == POSITIONS
    assert_equal_scores(model, score(model, QUERY, PRODUCTS), expected)


def test_the_order_of_a_list_does_not_depend_on_its_neighbours(folder: Path) -> None:
    assert_neighbours_do_not_matter(load_openvino(folder), QUERY, PRODUCTS)


@pytest.mark.skipif(not HAS_BFLOAT16, reason="needs a processor with bfloat16")
def test_bfloat16_logits_are_near_those_of_an_unbatched_forward() -> None:
    model = load_openvino(MODEL, dtype="bfloat16")
    expected = Reference(MODEL).logits(QUERY, PRODUCTS)
    logits = score(model, QUERY, PRODUCTS)
    assert model.dtype == "bfloat16"
    assert np.abs(logits - expected).max() > 1e-4, "computed in float32"
    np.testing.assert_allclose(logits, expected, rtol=2e-2, atol=2e-2)


@pytest.mark.skipif(not HAS_BFLOAT16, reason="needs a processor with bfloat16")
def test_auto_takes_bfloat16_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_loading, "_gain", lambda *_: 1.7)
    model = load_openvino(MODEL, dtype="auto")
    assert (model.dtype, model.dtype_reason) == ("bfloat16", "bfloat16 is 1.7 times as fast as float32 here")
    monkeypatch.setattr(openvino_loading, "_gain", lambda *_: 1.1)
    assert load_openvino(MODEL, dtype="auto").dtype == "float32"


@pytest.mark.skipif(not HAS_BFLOAT16, reason="needs a processor with bfloat16")
def test_bfloat16_that_is_too_far_from_torch_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(openvino_proof._LOGIT, "bfloat16", 1e-7)
    model = load_openvino(MODEL, dtype="auto")
    assert model.dtype == "float32"
    assert model.dtype_reason.startswith("in bfloat16 it gives the logit")
    with pytest.raises(StopError, match="in bfloat16 it gives the logit"):
        load_openvino(MODEL, dtype="bfloat16")


def test_auto_without_bfloat16_measures_nothing(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_loading, "has_bfloat16", lambda: False)
    monkeypatch.delattr(openvino_loading, "_gain")
    model = load_openvino(bert, dtype="auto")
    assert (model.dtype, model.dtype_reason) == ("float32", "the processor has no bfloat16")


def test_bfloat16_that_the_processor_does_not_have_is_refused(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino_loading, "has_bfloat16", lambda: False)
    with pytest.raises(StopError, match="the processor has no bfloat16"):
        load_openvino(bert, dtype="bfloat16")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dtype": "float16"}, "computes in float32 or bfloat16, got 'float16'"),
        ({"device": "cuda"}, "runs on the CPU, got 'cuda'"),
        ({"compile": True}, "no code that torch compiles"),
    ],
)
def test_what_openvino_cannot_do_is_a_wrong_option(bert: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StopError, match=message) as stopped:
        load_openvino(bert, **settings)
    assert stopped.value.code is Exit.USAGE
    assert "\n" not in str(stopped.value)


def test_openvino_that_is_not_installed_is_asked_for_in_vain(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(StopError, match=r"pip install 'rerank-worker\[openvino\]'") as stopped:
        load_openvino(bert)
    assert stopped.value.code is Exit.USAGE


def test_auto_leaves_everything_to_torch_without_openvino(padded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert load(padded, backend="auto").backend_name == "torch"


def test_auto_takes_openvino_for_what_torch_would_pad_on_a_processor_with_amx(
    padded: Path, bert: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load(padded, backend="auto").backend_name == "openvino"
    assert load(padded, backend="auto", dtype="float16").backend_name == "torch"
    assert load(bert, backend="auto").backend_name == "torch"
    monkeypatch.setattr(backends, "has_matrix_unit", lambda: False)
    assert load(padded, backend="auto").backend_name == "torch"


def off_by(shift: float) -> Any:
    """Return a conversion whose logits are all a little off."""

    def convert(model: Any, *, token_types: bool) -> Any:
        with torch.no_grad():
            model.classifier.bias += shift
        return openvino_model.convert(model, token_types=token_types)

    return convert


def cannot_convert(*_: object, **__: object) -> Any:
    raise RuntimeError("no conversion rule for aten::new\nand more")


@pytest.mark.parametrize(
    ("convert", "reason"),
    [
        (off_by(1e-3), "in float32 it gives the logit"),
        (cannot_convert, "it cannot be converted: RuntimeError: no conversion rule for aten::new"),
    ],
)
def test_a_model_that_openvino_does_not_score_as_torch_does_is_refused(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, convert: Any, reason: str
) -> None:
    monkeypatch.setattr(openvino_loading, "convert", convert)
    with pytest.raises(StopError, match=reason) as stopped:
        load_openvino(bert, openvino_cache=str(tmp_path))
    assert stopped.value.code is Exit.MODEL
    assert "\n" not in str(stopped.value)
    assert list(tmp_path.iterdir()) == []


def test_auto_leaves_a_model_that_openvino_cannot_run_to_torch(
    padded: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(openvino_loading, "convert", off_by(1e-3))
    with caplog.at_level(logging.WARNING, "worker"):
        model = load(padded, backend="auto", openvino_cache=str(tmp_path))
    assert model.backend_name == "torch"
    [line] = [record.getMessage() for record in caplog.records]
    assert line.startswith("torch runs the model, since the backend openvino cannot: in float32 it gives the logit")
    expected = Reference(padded).logits(QUERY, PRODUCTS, truncation=True, max_length=POSITIONS)
    assert_equal_scores(model, score(model, QUERY, PRODUCTS), expected)


def test_a_model_that_gives_nan_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    save_family("bert", tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    weights["classifier.bias"].fill_(float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(StopError, match=r"torch fails on plain text: .+the model gave nan"):
        load_openvino(tmp_path)


def test_the_threads_are_those_asked_for(bert: Path) -> None:
    assert load_openvino(bert, cpu_threads=1).cpu_threads == 1
    assert load(bert, cpu_threads=1).cpu_threads == 1


def test_nothing_of_the_librarys_telemetry_is_imported() -> None:
    loading = "from worker.model.openvino.model import library; library()"
    looking = "import sys; print(sys.modules['openvino_telemetry'])"
    ended = subprocess.run([sys.executable, "-c", f"{loading}; {looking}"], capture_output=True, check=True)
    assert ended.stdout == b"None\n"


_TWO_MODELS = """
import gc, os, signal, sys
from tests.model.conftest import load

signal.signal(signal.SIGTERM, lambda *_: print("heard", flush=True))
models = [load(sys.argv[1], backend="openvino", openvino_cache=sys.argv[2]) for _ in range(2)]
while models:
    del models[0]
    gc.collect()
os.kill(os.getpid(), signal.SIGTERM)
"""


def test_a_signal_is_heard_after_models_have_come_and_gone(bert: Path, tmp_path: Path) -> None:
    """Where the processor has AMX, the library lays a stack of its own under the handlers of signals."""
    ended = subprocess.run(
        [sys.executable, "-c", _TWO_MODELS, str(bert), str(tmp_path)], capture_output=True, check=True
    )
    assert ended.stdout == b"heard\n"


class Sums:
    """A compiled model, and its request: a pair's logit is the sum of its ids; it raises for a batch with BAD in it."""

    def __init__(self, *, value: float | None = None) -> None:
        self.inputs: list[Any] = []
        self._value = value
        self._logits = np.zeros(0)

    def create_infer_request(self) -> Sums:
        return self

    def get_property(self, _: str) -> int:
        return 2

    def infer(self, inputs: dict[str, np.ndarray], *, share_inputs: bool) -> None:
        assert share_inputs
        ids = inputs["input_ids"]
        if self._value is None and (ids == BAD).any():
            raise RuntimeError("bad pair")
        self._logits = (ids * inputs["attention_mask"]).sum(axis=1).astype(np.float32)
        self._logits[ids[:, 0] == BAD] = self._value or 0.0

    def get_output_tensor(self, _: int) -> Any:
        return type("Tensor", (), {"data": self._logits})


def sums(group_tokens: int = 1_000, **settings: Any) -> OpenVinoPadded:
    return OpenVinoPadded(Sums(**settings), pad_id=PAD, vocabulary=100, group_tokens=group_tokens)


def test_rows_come_back_in_their_own_order_with_counts_of_tokens() -> None:
    scored = sums(group_tokens=6).start(rows([1], [1, 2, 3, 4], [5, 6], [7], [1, 1, 1])).finish()
    assert scored.logits.tolist() == [1, 10, 11, 7, 3]
    assert scored.logits.dtype == np.float32
    assert (scored.tokens, scored.padding) == (11, 1)


def test_one_bad_pair_is_isolated_and_the_others_are_scored() -> None:
    scored = sums().start(rows([1], [2], [BAD], [4], [5])).finish()
    np.testing.assert_array_equal(scored.logits, np.array([1, 2, np.nan, 4, 5], np.float32))
    assert {row: str(error) for row, error in scored.failures.items()} == {2: "bad pair"}


def test_a_logit_that_is_not_finite_becomes_nan_with_a_reason() -> None:
    scored = sums(value=float("inf")).start(rows([1], [BAD], [3])).finish()
    np.testing.assert_array_equal(scored.logits, np.array([1, np.nan, 3], np.float32))
    assert isinstance(scored.failures[1], NonFiniteLogitError)


def test_a_token_id_that_the_model_does_not_have_is_an_error() -> None:
    scored = sums().start(rows([1], [100])).finish()
    assert str(scored.failures[1]) == "expected token ids below 100, got 100"
    assert scored.logits[0] == 1


@pytest.mark.skipif(not HAS_BFLOAT16, reason="needs a processor with bfloat16")
def test_the_gain_is_a_measured_ratio(bert: Path) -> None:
    model = load_openvino(bert)
    rows_of_ids = rows([1, 2, 3], [4, 5])
    assert openvino_loading._gain(model._backend, model._backend, rows_of_ids) > 0


def test_a_real_product_model_scores_and_orders_as_transformers_does() -> None:
    model = load_openvino(MODEL)
    products = ["12-gauge steel angle bracket", "deck screws, 5 lb", "", "white shelf bracket " * 60, "kitchen faucet"]
    logits = score(model, "angle bracket", products)
    expected = Reference(MODEL).logits("angle bracket", products, truncation=True, max_length=model.max_length)
    assert_equal_scores(model, logits, expected)
    assert np.argmax(logits) == 0
