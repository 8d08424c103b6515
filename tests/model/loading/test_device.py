"""The device and the numbers are those that the machine has."""

from pathlib import Path

import pytest
import torch

from worker.exits import Exit, StopError
from worker.model.loading import device
from worker.model.loading.device import bfloat16_gain, cpu_flags, place


def test_a_dtype_that_is_asked_for_is_taken() -> None:
    assert place("cpu", "float16") == ("cpu", "float16", "as set")


def test_auto_on_a_processor_takes_bfloat16_only_where_it_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_flags", lambda: frozenset({"avx512_bf16"}))
    monkeypatch.setattr(device, "bfloat16_gain", lambda: 4.2)
    assert place("cpu", "auto") == ("cpu", "bfloat16", "bfloat16 is 4.2 times as fast as float32 here")
    monkeypatch.setattr(device, "bfloat16_gain", lambda: 0.6)
    assert place("cpu", "auto").dtype == "float32"


def test_auto_on_a_processor_without_bfloat16_measures_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "cpu_flags", lambda: frozenset({"avx2"}))
    monkeypatch.delattr(device, "bfloat16_gain")
    assert place("cpu", "auto") == ("cpu", "float32", "the processor has no bfloat16")


def test_the_gain_is_a_measured_ratio() -> None:
    assert bfloat16_gain() > 0


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "cpu:0", "mps", ""])
def test_a_device_of_another_name_is_a_wrong_option(name: str) -> None:
    with pytest.raises(StopError, match="expected auto, cpu, cuda or cuda:N") as stopped:
        place(name, "auto")
    assert stopped.value.code is Exit.USAGE


def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    absent = f"cuda:{torch.cuda.device_count()}"
    with pytest.raises(StopError, match="CUDA devices") as stopped:
        place(absent, "auto")
    assert stopped.value.code is Exit.MODEL


@pytest.mark.parametrize("key", ["flags\t\t", "Features\t"])
def test_flags_are_read_from_cpuinfo(tmp_path: Path, key: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\n{key}: fpu amx_bf16\nother : x\n\nprocessor\t: 1\n{key}: fpu\n")
    assert cpu_flags(cpuinfo) == {"fpu", "amx_bf16"}
    assert cpu_flags(tmp_path / "none") == frozenset()
