"""`bench stream`, as a user runs it, with a model that takes no time: what it reports, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.tools.bench.conftest import named

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.broker
def test_the_worker_its_rivals_and_the_bare_scorer_are_measured_in_one_run(
    measure: Callable[..., dict[str, Any]],
) -> None:
    figures = measure("stream", "--seconds", "0.05", "--repeat", "2", "--candidates", "3", "--known-texts")
    ratios = named(figures, "ratios")
    assert ratios.keys() == {"stream.vs_scorer", "stream.vs_naive_loop", "stream.vs_quixstreams"}
    assert all(value > 0 for value in ratios.values())
    names = ("scorer", "worker", "naive_loop", "quixstreams")
    results = {each["name"]: each for each in figures["results"]}
    assert results.keys() == {f"stream.{name}.pairs_per_second" for name in names}
    assert all(len(each["runs"]) == 2 for each in results.values())
    assert figures["environment"]["known_texts"] is True


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--candidates", "0"), "--candidates: expected"),
        (("--seconds", "-1"), "--seconds: expected"),
        (("--repeat", "x"), "--repeat: expected"),
        (("--input", "nowhere.jsonl"), "--input: cannot read nowhere.jsonl"),
        (("--json", "/nowhere/figures.json"), "--json: expected a file in a folder that exists"),
        (("--plot", "figures.gif"), "--plot: expected a file that ends in .png"),
    ],
)
def test_a_wrong_option_is_one_clear_line(words: tuple[str, ...], complaint: str, refused: Callable[..., str]) -> None:
    assert complaint in refused("stream", *words)
