"""Loads the model and warms it up, in a thread that ends."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from worker import __version__
from worker.events.codec import product_fields
from worker.scheduling.cost_model import CostModel

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.model.cross_encoder import CrossEncoder
    from worker.observe.metrics import Metrics

log = logging.getLogger(__name__)


def load_apart(settings: Settings, metrics: Metrics) -> tuple[CrossEncoder, CostModel]:
    """Return the model, warm, and what the warm-up says of its costs.

    The thread that loads ends, and with it the threads that it computed with. Left beside those of the scorer they
    would be more than there are cores; OpenMP then sends threads to sleep between any two operators, which cost a
    quarter of the rate.
    """
    with ThreadPoolExecutor(1, "load") as thread:
        return thread.submit(_load, settings, metrics).result()


def _load(settings: Settings, metrics: Metrics) -> tuple[CrossEncoder, CostModel]:
    from worker.model.cross_encoder import load_model
    from worker.model.nvml import open_gpu

    model = load_model(settings.model)
    if (gpu := open_gpu(model.device)) is not None:
        metrics.model.show_gpu(model.device, gpu.utilization, gpu.memory_used, gpu.memory_total)
    costs = CostModel(settings.costs, [(each.load, each.seconds) for each in model.warm_up()])
    metrics.model.name_build(__version__, model.name, model.device, model.dtype)
    reads = product_fields(settings.events, model.product_fields)
    log.info("model warm", extra={"event": "model_warm", "product_fields": reads})
    return model, costs
