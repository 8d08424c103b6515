"""Chooses what computes on CUDA beside the linear layers: this project's kernels where they compile, else torch's."""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING

import torch

from worker.model.loading.source import first_line
from worker.model.torch.attention_cuda import PackedAttention
from worker.model.torch.row_wise import RowWise
from worker.model.torch.work import is_sticky

if TYPE_CHECKING:
    from worker.model.torch.packed_encoder import Attention

log = logging.getLogger(__name__)


def cuda_kernels(device: torch.device, head: int) -> tuple[Attention, RowWise]:
    """Return the attention of heads of this width, and what is done row by row."""
    try:
        with torch.cuda.device(device):
            kernels = importlib.import_module("worker.model.torch.triton_ops")
            kernels.FusedRowWise().add_norm(*torch.ones(2, 4, 16, device=device), torch.nn.LayerNorm(16, device=device))
    except Exception as error:
        if is_sticky(error):
            raise
        log.warning(
            "Triton compiles no kernels here, so batches take longer; it needs a C compiler: %(reason)s",
            {"reason": first_line(error)},
            extra={"event": "no_fused_kernels"},
        )
        return PackedAttention(), RowWise()
    return kernels.FusedAttention() if head in kernels.HEAD_WIDTHS else PackedAttention(), kernels.FusedRowWise()
