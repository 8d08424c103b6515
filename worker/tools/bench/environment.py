"""What a bench ran on: processor, Python, libraries, model, and how busy the machine was."""

from __future__ import annotations

import os
import platform
import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker import __version__
from worker.model.loading.device import cpu_flags, describe

if TYPE_CHECKING:
    from worker.model.cross_encoder import CrossEncoder

# What decides how fast a processor multiplies.
_FLAGS = (
    "avx2",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "bf16",
    "sve",
)
_LIBRARIES = (
    *("torch", "transformers", "tokenizers", "numpy", "orjson", "jsonschema-rs", "kafka-python", "openvino"),
    *("sentence-transformers", "quixstreams"),
)


class Environment:
    """Where and with what a bench runs. The load average is read when it is made, and again by `as_dict`."""

    def __init__(self) -> None:
        self._facts: dict[str, Any] = {
            "rerank_worker": __version__,
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "flags": [flag for flag in _FLAGS if flag in cpu_flags()],
            "memory_gb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1),
            "system": platform.platform(),
            "python": platform.python_version(),
            "libraries": {name: version for name in _LIBRARIES if (version := _version(name)) is not None},
            "load_average_at_start": _load(),
        }

    def add(self, **facts: Any) -> None:
        """Note more, such as the workload or the broker; a later value of a name takes the place of an earlier one."""
        self._facts |= facts

    def add_model(self, model: CrossEncoder) -> None:
        """Note the model, where it runs and in which numbers."""
        self.add(
            model={"id": model.name.id, "revision": model.name.revision},
            device=model.device,
            dtype=model.dtype,
            backend=model.backend_name,
            max_length=model.max_length,
        )
        if model.cpu_threads is not None:
            self.add(cpu_threads=model.cpu_threads)
        self.add(**describe(model.device))

    def as_dict(self) -> dict[str, Any]:
        """Return everything, and the load average as it is now."""
        return {**self._facts, "load_average_at_end": _load()}

    def line(self) -> str:
        """Return the machine in one line, for the head of a table."""
        facts = self._facts
        parts = [f"{facts['processor']}, {facts['cores']} cores", f"Python {facts['python']}"]
        if "model" in facts:
            parts.append(f"{facts['model']['id']} in {facts['dtype']} on {facts.get('gpu', facts['device'])}")
        return "; ".join([*parts, f"load {facts['load_average_at_start'][0]} at the start"])


def _processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo.read_text("utf-8"), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _load() -> list[float]:
    return [round(value, 2) for value in os.getloadavg()]
