"""A configuration's activation is looked up in a list of four, and never imported."""

import os
from typing import Any

import pytest

from worker.exits import Exit, StopError
from worker.model.loading.activation import find_activation


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, "sigmoid"),
        ({"sentence_transformers": {"version": "4.1"}}, "sigmoid"),
        ({"sbert_ce_default_activation_function": None}, "sigmoid"),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity"}, "identity"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.activation.Sigmoid"}}, "sigmoid"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.Tanh"}}, "tanh"),
        (
            {
                "sentence_transformers": {"activation_fn": "torch.nn.modules.activation.ReLU"},
                "sbert_ce_default_activation_function": "torch.nn.modules.linear.Identity",
            },
            "relu",
        ),
    ],
)
def test_the_name_is_found_in_the_order_of_sentence_transformers(config: dict[str, Any], expected: str) -> None:
    assert find_activation("m", config) == expected


@pytest.mark.parametrize("name", ["os.system", "torch.nn.Softmax", "torch.nn.modules.activation.torch.Sigmoid", 3, ""])
def test_any_other_name_is_refused(name: object) -> None:
    with pytest.raises(StopError, match="names the activation") as stopped:
        find_activation("m", {"sentence_transformers": {"activation_fn": name}})
    assert stopped.value.code is Exit.MODEL


def test_a_name_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[object] = []
    monkeypatch.setattr(os, "system", calls.append)
    with pytest.raises(StopError, match=r"os\.system"):
        find_activation("m", {"sbert_ce_default_activation_function": "os.system"})
    assert calls == []
