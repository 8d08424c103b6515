"""A packed layer gives what torch's own gives."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch

from worker.model.torch.prepacked_linear import PrepackedLinear


@pytest.mark.parametrize("gelu", [False, True])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2), (torch.float64, 1e-12)]
)
@pytest.mark.parametrize("rows", [1, 7, 1_500])
def test_layers_of_one_input_are_computed_as_one(
    *, dtype: torch.dtype, tolerance: float, rows: int, gelu: bool
) -> None:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(48, width).to(dtype) for width in (16, 80)]
    inputs = torch.randn(rows, 48, dtype=dtype)
    with torch.inference_mode():
        expected = torch.cat([layer(inputs) for layer in layers], dim=1)
        expected = torch.nn.functional.gelu(expected) if gelu else expected
        torch.testing.assert_close(PrepackedLinear(layers, gelu=gelu)(inputs), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 1e-2), (torch.float16, 1e-3)])
def test_on_a_gpu_gelu_is_as_exact_as_the_numbers(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    layer, inputs = torch.nn.Linear(64, 256).to("cuda", dtype), torch.randn(999, 64).to("cuda", dtype)
    with torch.inference_mode():
        exact = torch.nn.functional.gelu(layer.double()(inputs.double()))
        found = PrepackedLinear([layer.to(dtype)], gelu=True)(inputs)
        torch.testing.assert_close(found.double(), exact, rtol=tolerance, atol=tolerance)


def test_the_weights_that_it_was_made_of_are_free_again() -> None:
    layers = [torch.nn.Linear(8, 8) for _ in range(2)]
    weights = [weakref.ref(layer.weight) for layer in layers]
    packed = PrepackedLinear(layers)
    del layers
    gc.collect()
    assert [weight() for weight in weights] == [None, None]
    assert packed(torch.ones(1, 8)).shape == (1, 16)
