"""The script that measures a GPU in one call, rehearsed on the CPU: it leaves figures, and goes on after a failure."""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from typing import TYPE_CHECKING

import pytest

from tests import measure_gpu

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ("--device", "cpu", "--rehearse", "--seconds", "0.01", "--repeat", "1")


@pytest.mark.timeout(600)
def test_every_part_leaves_its_figures(tmp_path: Path) -> None:
    names = ("correctness", "shapes-tiny", "small-tiny", "compiled-tiny", "profile-tiny")
    failed = measure_gpu.main([str(tmp_path), *SMALL, "--limit-s", "500", "--only", ",".join(names)])
    assert failed == 0, "".join((tmp_path / f"{name}.txt").read_text() for name in names)
    assert [line.partition(",")[0] for line in (tmp_path / "steps.txt").read_text().splitlines()] == [
        f"{name}: status 0" for name in names
    ]
    shapes = json.loads((tmp_path / "shapes-tiny.json").read_text())
    assert "shapes.tiny.mixed_vs_uniform" in {ratio["name"] for ratio in shapes["ratios"]}
    for name, ways in (
        ("small", {"plain", "graphs"}),
        ("compiled", {"plain", "graphs", "compiled", "compiled_graphs"}),
    ):
        figures = json.loads((tmp_path / f"{name}-tiny.json").read_text())
        for times in figures["ms"].values():
            assert times.keys() | figures["missing"].keys() == ways
            assert "plain" in times
            assert all(0 < least <= middle <= most for middle, least, most in times.values())
    assert "Self CPU" in (tmp_path / "profile-tiny.txt").read_text()


def test_a_step_that_fails_or_hangs_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def code(text: str) -> list[str]:
        return [sys.executable, "-c", text]

    hangs = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; print(1); time.sleep(300)'])"
    monkeypatch.setattr(
        measure_gpu,
        "steps",
        lambda _: {
            "absent": ["/nowhere/python"],
            "failing": code("print('why'); raise SystemExit(3)"),
            "hanging": code(hangs),
            "good": code("print('fine')"),
        },
    )
    began_s = time.monotonic()
    assert measure_gpu.main([str(tmp_path), "--limit-s", "5"]) == 3
    assert time.monotonic() - began_s < 250
    said = capsys.readouterr().out
    assert "absent: not started" in said
    assert "failing: status 3" in said
    assert "hanging: stopped after its limit of 5 s" in said
    assert "good: status 0" in said
    assert (tmp_path / "failing.txt").read_text() == "why\n"
    assert (tmp_path / "good.txt").read_text() == "fine\n"


def test_what_the_goals_need_comes_first(tmp_path: Path) -> None:
    given = Namespace(folder=tmp_path, device="cuda:0", seconds=1.0, repeat=3, rehearse=False)
    names = list(measure_gpu.steps(given))
    shapes = ("minilm_l6", "minilm_l12", "bert_base")
    assert names[:2] == ["correctness", "kernels"]
    assert names[2:8] == [*(f"shapes-{name}" for name in shapes), *(f"small-{name}" for name in shapes)]
    assert names[8:11] == ["scorer", "stream", "known"]
    assert names[11:17] == [*(f"compiled-{name}" for name in shapes), *(f"profile-{name}" for name in shapes)]
    assert names[17:] == [f"shapes-{name}-float16" for name in shapes]
