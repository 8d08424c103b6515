"""The image that deploy/Dockerfile builds: what is in it, and a worker that runs in it against the broker."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.deploy.cuda_driver import LOAD, make_driver
from tests.deploy.image import FOLDER, NAMES, Buildah, base_name
from tests.integration.line import Line, event, sources
from tests.needs import lacking
from worker import __version__
from worker.tools.local.children import Child, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import MakeTopic

_LIMIT_BYTES = {"cpu": 1_600_000_000, "cuda": 6_000_000_000}
_PREFIX = "/opt/rerank-worker"


@pytest.fixture(scope="module")
def buildah() -> Buildah:
    if lack := lacking("image"):
        pytest.skip(lack)
    return Buildah(FOLDER)


@pytest.fixture(scope="module", params=NAMES)
def target(buildah: Buildah, request: pytest.FixtureRequest) -> str:
    found: str = request.param
    if not buildah.has(NAMES[found]):
        pytest.skip(f'needs an image: make image IMAGE_ARGS="--target {found}", or IMAGE_FOLDER')
    return found


@pytest.fixture(scope="module")
def image(target: str) -> str:
    return NAMES[target]


@pytest.fixture(scope="module")
def container(buildah: Buildah, image: str) -> Iterator[str]:
    name = buildah("from", "--pull-never", image)
    yield name
    buildah("rm", name)


@pytest.fixture(scope="module")
def root(buildah: Buildah, container: str) -> Path:
    return Path(buildah("mount", container))


def test_it_runs_the_worker_as_a_user_without_rights_and_says_what_it_is(buildah: Buildah, image: str) -> None:
    config = buildah.inspect(image)["config"]
    assert config["User"] == "10001:10001"
    assert (config["Entrypoint"], config["Cmd"]) == (["rerank-worker"], ["run"])
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_it_adds_one_layer_of_libraries_and_one_of_the_worker_to_its_base(
    buildah: Buildah, image: str, target: str
) -> None:
    history = [step for step in buildah.inspect(image)["history"] if not step.get("empty_layer")]
    added = history[len([step for step in buildah.inspect(base_name())["history"] if not step.get("empty_layer")]) :]
    assert len(added) <= 3 + (target == "cuda"), added  # the user, the libraries, the worker; Triton's object


def test_nothing_in_it_is_needed_for_building_alone(root: Path) -> None:
    programs = {
        path.name for place in ("usr/bin", "usr/local/bin", f"{_PREFIX[1:]}/bin") for path in (root / place).glob("*")
    }
    assert not programs & {"gcc", "cc", "g++", "ld", "make", "pip", "pip3", "git"}
    assert not (root / "root" / ".cache").exists()
    assert not (root / "source").exists()
    assert "rerank-worker" in programs


def test_it_is_no_larger_than_torch_makes_it(root: Path, target: str) -> None:
    size = sum(path.lstat().st_size for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < _LIMIT_BYTES[target], f"{size / 1e6:.0f} MB"


def test_the_user_can_write_to_its_cache_alone(buildah: Buildah, container: str) -> None:
    script = "id -u; for place in / /opt/rerank-worker /usr /etc /cache; do test -w $place && echo $place; done; true"
    assert buildah("run", container, "--", "sh", "-c", script).split() == ["10001", "/cache"]


def test_the_command_runs_inside(buildah: Buildah, container: str) -> None:
    assert buildah("run", container, "--", "rerank-worker", "--version") == f"rerank-worker {__version__}"


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc, for a driver that does nothing")
def test_triton_starts_without_a_compiler(
    buildah: Buildah, container: str, root: Path, target: str, tmp_path: Path
) -> None:
    if target == "cpu":
        pytest.skip("the image for CPUs has no Triton")
    driver = make_driver(tmp_path / "driver", root / "opt/prebuilt/cuda_utils.so")
    driver.chmod(0o755)
    command = ["sh", "-c", f"LD_LIBRARY_PATH=/driver exec python -c '{LOAD}'"]
    assert "launch" in buildah("run", "--volume", f"{driver}:/driver:ro", container, "--", *command)


@pytest.mark.apache
def test_a_worker_inside_reranks_what_is_published_and_ends_well(
    buildah: Buildah, container: str, apache_kafka: str, topics: MakeTopic, tmp_path: Path
) -> None:
    line = Line(apache_kafka, topics, tmp_path)
    (model,) = Path(buildah("mount", container)).glob(f"{_PREFIX[1:]}/lib/python3*/site-packages/worker/demo/model-*")
    given = {
        "bootstrap_servers": apache_kafka,
        "group_id": line.group,
        "request_topic": line.requests,
        "result_topic": line.results,
        "dead_letter_topic": line.dead_letters,
        "model": f"/{model.relative_to(buildah('mount', container))}",
        "http_port": free_port(),
        "on_overload": "score",
    }
    flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["buildah", "run", container, "--", "rerank-worker", "run", *flags]
    worker = Child(command, log=tmp_path / "worker.log", environment=buildah.environment)
    worker.start()
    try:
        line.publish(event(number) for number in range(20))
        results = line.read(line.results, 20)
        assert {json.loads(result.value)["outcome"] for result in results} == {"reranked"}
        assert len(sources(results)) == 20
        os.kill(_innermost(worker.pid), signal.SIGTERM)  # buildah does not pass it on
        assert worker.wait(120) == 0
    finally:
        worker.kill()
        line.close()


def _innermost(process: int) -> int:
    """Return the last of a row of processes, each the only child of the one before."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")  # of whichever thread started it
    children = " ".join(task.read_text() for task in tasks).split()
    return _innermost(int(children[0])) if children else process
