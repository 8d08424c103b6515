"""Which model scores, where and how exactly."""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge
from pydantic import AfterValidator
from typing_extensions import Doc

Truncation = Literal["longest_first", "only_second"]
Dtype = Literal["auto", "float32", "bfloat16", "float16"]
BackendName = Literal["auto", "torch", "openvino"]
DEVICE = re.compile(r"auto|cpu|cuda(:[0-9]+)?")


def _device(text: str) -> str:
    """Return the text where it names a device; whether this machine has it is found out when the model is loaded."""
    if not DEVICE.fullmatch(text):
        raise ValueError("expected auto, cpu, cuda or cuda:N")
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """The cross-encoder and the way it runs."""

    model: Annotated[str, Doc("Folder of the cross-encoder, or its id on the Hugging Face hub.")] = (
        "LiYuan/Amazon-Cup-Cross-Encoder-Regression"
    )
    revision: Annotated[
        str | None,
        Doc("Commit, tag or branch of a hub model (a commit is the only one that cannot move); a label for a folder."),
    ] = None
    device: Annotated[str, AfterValidator(_device), Doc("Where the model runs: auto, cpu, cuda or cuda:N.")] = "auto"
    backend: Annotated[
        BackendName,
        Doc(
            "What runs the model: torch, or openvino (on CPUs, with the extra openvino); auto is torch, but openvino "
            "where it is installed, the processor has AMX, and torch would have to pad the model's batches."
        ),
    ] = "auto"
    dtype: Annotated[
        Dtype,
        Doc("Numbers the model computes in; auto is bfloat16 where it is faster (GPUs from Ampere on), else float32."),
    ] = "auto"
    tf32: Annotated[
        bool, Doc("Multiply float32 in TF32 on CUDA: much faster there, with about three digits; off elsewhere.")
    ] = False
    compile: Annotated[
        bool,
        Doc("Let torch compile what follows attention in models that run without padding; the start takes longer."),
    ] = False
    cuda_graphs: Annotated[
        bool,
        Doc("Launch forward passes on CUDA as one, where the model runs without padding and this is proved."),
    ] = True
    max_length: Annotated[
        int | None,
        Ge(8),
        Doc("Tokens of a pair, special tokens included; the model's own limit if not given."),
    ] = None
    truncation: Annotated[
        Truncation,
        Doc("What is cut when a pair is too long: the longer text first, or only the product."),
    ] = "longest_first"
    token_cache_mb: Annotated[int, Ge(0), Doc("Memory for the token ids of product texts, in MiB.")] = 128
    score_cache_mb: Annotated[
        int,
        Ge(0),
        Doc("Memory for the scores of pairs of query and product that were scored before, in MiB; 0: every pair anew."),
    ] = 0
    pad: Annotated[
        bool, Doc("Pad the batches of every model, also of those that run without padding: to compare the two.")
    ] = False
    group_tokens: Annotated[
        int | None,
        Ge(1),
        Doc("Padded tokens that one forward pass takes; chosen by backend and device if not given."),
    ] = None
    cpu_threads: Annotated[
        int | None, Ge(1), Doc("Threads that run the model on the CPU; the backend's own choice if not given.")
    ] = None
    openvino_cache: Annotated[
        str | None,
        Doc("Folder for models converted to OpenVINO; rerank-worker/openvino in the user's cache if not given."),
    ] = None
