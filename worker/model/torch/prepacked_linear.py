"""A linear layer with its weights laid out for the processor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

# What oneDNN lays weights out for; it takes any number of rows.
_ROWS = 1_024
_PACKABLE = (torch.float32, torch.bfloat16)


class PrepackedLinear:
    """One or more linear layers of the same input as one: (rows, inputs) to (rows, outputs of all of them).

    On the CPU the weights are packed for oneDNN, and GELU is computed in the same kernel. Measured on an EPYC of 2023
    with the shapes of MiniLM: 222 GFLOP/s in float32 against 174 of torch's own linear layer, 445 against 420 in
    bfloat16. These are the operators that torch's compiler gives a frozen model; where a release lacks them, or for
    another device or dtype, it is torch's own layer.

    On CUDA in bfloat16 GELU is computed in the same kernel too, before its input is rounded, and in the form with tanh:
    no other is there. By itself that moves a logit by a fifth of what bfloat16 does, and both together by no more than
    bfloat16 alone (docs/gpu.md).
    """

    def __init__(self, layers: Sequence[Any], *, gelu: bool = False) -> None:
        # Detached, or the layers' own weights would stay in memory as what the gradient of these goes back to.
        weight = torch.cat([layer.weight.detach() for layer in layers]).contiguous()
        self._bias = torch.cat([layer.bias.detach() for layer in layers]).contiguous()
        self._gelu = gelu
        self._gelu_in_product = gelu and weight.device.type == "cuda" and weight.dtype == torch.bfloat16
        self._packed = _can_pack(weight)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(weight, _ROWS) if self._packed else weight  # noqa: SLF001

    def unpack(self) -> None:
        """Lay the weights out as torch has them, which its compiler needs for sizes that vary."""
        if self._packed:
            self._weight, self._packed = self._weight.to_dense(), False

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the layer's outputs, GELU applied where it was asked for."""
        if self._packed:
            kind, form = ("gelu", "none") if self._gelu else ("none", "")
            outputs: torch.Tensor = torch.ops.mkldnn._linear_pointwise(inputs, self._weight, self._bias, kind, [], form)  # noqa: SLF001
            return outputs
        if self._gelu_in_product:
            return torch._addmm_activation(self._bias, inputs, self._weight.t(), use_gelu=True)  # noqa: SLF001
        outputs = torch.nn.functional.linear(inputs, self._weight, self._bias)
        return torch.nn.functional.gelu(outputs) if self._gelu else outputs


def _can_pack(weight: torch.Tensor) -> bool:
    return (
        weight.device.type == "cpu"
        and weight.dtype in _PACKABLE
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        and all(hasattr(torch.ops.mkldnn, name) for name in ("_reorder_linear_weight", "_linear_pointwise"))
    )
