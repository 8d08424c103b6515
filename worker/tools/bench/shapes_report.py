"""What `bench scorer --shapes` says: rates of each shape at each length, and what share of the device they are."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, NamedTuple

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from worker.model.random_model import Shape
    from worker.tools.bench.report import Report

_TERA = 1e12
_UNIFORM, _MIXED = "tokens_128", "mixed"
_OURS = "unpadded"


class Run(NamedTuple):
    """Pairs a second of a batch whose pairs have these lengths; the share of padding, None where it is not known."""

    pairs_per_s: float
    lengths: np.ndarray
    padding_share: float | None

    @property
    def tokens_per_s(self) -> float:
        """Return real tokens a second."""
        return self.pairs_per_s * float(self.lengths.mean())


class Measured(NamedTuple):
    """The runs of a shape by the name of the lengths, then by the way; and how long a lone event takes."""

    shape: Shape
    runs: Mapping[str, Mapping[str, Sequence[Run]]]
    lone_ms: Sequence[float]


def tell(report: Report, matrix_rate: float, measured: Sequence[Measured]) -> None:
    """Add all figures; `matrix_rate` is in floating-point operations a second."""
    report.add("shapes.matrix_tflops", "TFLOP/s", matrix_rate / _TERA)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("shape", "lengths", "way", "pairs/s", "tokens/s", "TFLOP/s", "of the matrix rate", "padding"):
        table.add_column(name, justify="left" if len(table.columns) <= 2 else "right")  # noqa: PLR2004 - the words
    for each in measured:
        for lengths, ways in each.runs.items():
            for way, runs in ways.items():
                row = _tell_runs(report, f"shapes.{each.shape.name}.{lengths}.{way}", each.shape, runs, matrix_rate)
                table.add_row(each.shape.name, lengths, way, *row)
            _tell_ratios(report, f"shapes.{each.shape.name}.{lengths}", ways)
        report.add(f"shapes.{each.shape.name}.lone_ms", "ms", each.lone_ms)
        if {_UNIFORM, _MIXED} <= each.runs.keys():
            sides = [[run.tokens_per_s for run in each.runs[name][_OURS]] for name in (_MIXED, _UNIFORM)]
            report.add_ratio(f"shapes.{each.shape.name}.mixed_vs_uniform", *sides)
    report.add_table(table)


def _tell_runs(report: Report, name: str, shape: Shape, runs: Sequence[Run], matrix_rate: float) -> list[str]:
    """Add the figures of one way, and return the cells of its row."""
    lengths = runs[0].lengths
    per_pair = shape.flops(lengths, first_rows=name.endswith(_OURS)) / len(lengths)
    rates = {
        "pairs_per_second": ("pairs/s", [run.pairs_per_s for run in runs]),
        "tokens_per_second": ("tokens/s", [run.tokens_per_s for run in runs]),
        "tflops": ("TFLOP/s", [run.pairs_per_s * per_pair / _TERA for run in runs]),
        "matrix_share": ("of the matrix rate", [run.pairs_per_s * per_pair / matrix_rate for run in runs]),
    }
    cells = []
    for figure, (unit, values) in rates.items():
        report.add(f"{name}.{figure}", unit, values, in_table=False)
        middle = statistics.median(values)
        cells.append(f"{middle:,.3f}" if middle < 10 else f"{middle:,.0f}")  # noqa: PLR2004 - digits that mean something
    padding = [run.padding_share for run in runs if run.padding_share is not None]
    if padding:
        report.add(f"{name}.padding_share", "of computed tokens", padding, in_table=False)
    return [*cells, f"{statistics.median(padding):.0%}" if padding else ""]


def _tell_ratios(report: Report, name: str, ways: Mapping[str, Sequence[Run]]) -> None:
    ours = [run.pairs_per_s for run in ways[_OURS]]
    for way, runs in ways.items():
        if way != _OURS:
            report.add_ratio(f"{name}.vs_{way}", ours, [run.pairs_per_s for run in runs])
