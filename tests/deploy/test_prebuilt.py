"""What stands for a C compiler in the image for GPUs: Triton gets its one object from it, and all else an error."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.deploy.cuda_driver import LOAD, make_driver

CUDA = Path(__file__).parent.parent.parent / "deploy" / "cuda"

# As triton/runtime/build.py calls a compiler.
_FLAGS = ["-O3", "-shared", "-fPIC", "-Wno-psabi"]


@pytest.fixture
def compiler(tmp_path: Path) -> Path:
    """The script as it lies in the image, its object yet to come."""
    folder = tmp_path / "prebuilt"
    folder.mkdir()
    return Path(shutil.copy(CUDA / "cc", folder))


def _call(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True)


def test_the_object_is_copied_to_where_the_compiler_would_put_it(compiler: Path, tmp_path: Path) -> None:
    (compiler.parent / "cuda_utils.so").write_bytes(b"an object")
    output = tmp_path / "cuda_utils.cpython-311-x86_64-linux-gnu.so"
    done = _call(compiler, tmp_path / "cuda_utils.c", *_FLAGS, "-o", output, "-l:libcuda.so.1", "-I/include")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.read_bytes() == b"an object"


@pytest.mark.parametrize(
    "words", [["main.c", "-o", "{}"], ["/a/hip_utils.c", *_FLAGS, "-o", "{}"], ["/a/cuda_utils.c", *_FLAGS]]
)
def test_all_else_is_refused_in_one_line(compiler: Path, tmp_path: Path, words: list[str]) -> None:
    (compiler.parent / "cuda_utils.so").write_bytes(b"an object")
    output = tmp_path / "output"
    done = _call(compiler, *(word.format(output) for word in words))
    assert done.returncode == 1
    assert re.fullmatch(r"this image has no C compiler.*\n", done.stderr)
    assert words[0] in done.stderr
    assert not output.exists()


def test_a_missing_object_is_an_error(compiler: Path, tmp_path: Path) -> None:
    done = _call(compiler, "/a/cuda_utils.c", "-o", tmp_path / "output")
    assert done.returncode != 0
    assert "cuda_utils.so" in done.stderr


@pytest.mark.skipif(
    not (shutil.which("gcc") and Path(sysconfig.get_config_var("INCLUDEPY"), "Python.h").exists()),
    reason="needs gcc and Python's headers",
)
def test_triton_loads_what_was_built_before(compiler: Path, tmp_path: Path) -> None:
    nvidia = Path(pytest.importorskip("triton").__file__).parent / "backends" / "nvidia"
    prebuilt = compiler.parent / "cuda_utils.so"
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([CUDA / "prebuild", nvidia, prebuilt], env={**os.environ, "PATH": path}, check=True)
    environment = {
        **os.environ,
        "CC": str(compiler),
        "LD_LIBRARY_PATH": str(make_driver(tmp_path / "driver", prebuilt)),
        "TRITON_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run([sys.executable, "-c", LOAD], env=environment, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("<built-in function launch")
    (taken,) = (tmp_path / "cache").rglob("cuda_utils*.so")
    assert taken.read_bytes() == prebuilt.read_bytes()
