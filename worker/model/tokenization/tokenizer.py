"""Loads a model's tokenizer once, in the form that every tokenizer thread opens for itself."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.exits import ENDS
from worker.model.loading.source import Source, first_line, refuse
from worker.model.tokenization.template import PROBES, Template, first_difference, first_segment, read_template

if TYPE_CHECKING:
    from tokenizers import Tokenizer

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PairTokenizer:
    """The tokenizer as JSON, and what was found out about it.

    `template` is None where ids of single texts, put together, are not what the tokenizer gives for the pair; pairs are
    then encoded as pairs, and `reason` says why. `token_types` says whether the model must be told the segments.
    `maximum` is the tokenizer's own limit in tokens; `left` says that truncation takes a text's beginning away. Its ids
    are less than `ids`.
    """

    json: str
    encodes_special_tokens: bool
    template: Template | None
    reason: str
    special: int
    token_types: bool
    pad_id: int
    left: bool
    maximum: int
    ids: int

    def open(self) -> Tokenizer:
        """Return a tokenizer for one thread, with no padding and no truncation."""
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self.json)
        # The file may carry the settings of whoever saved it last.
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = self.encodes_special_tokens
        return tokenizer


def load_tokenizer(source: Source, type_count: int) -> PairTokenizer:
    """Load a model's tokenizer as transformers does and check how its pairs are made; raises StopError.

    `type_count` is how many token types the model has (0 or 1: it is never told them).
    """
    # The library would start a thread for each core, and warn in children that are forked later.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    from transformers import AutoTokenizer

    model = source.name.id
    try:
        reference = AutoTokenizer.from_pretrained(source.folder, local_files_only=True, trust_remote_code=False)
    except ENDS:
        raise
    except BaseException as error:  # a library that is written in Rust may panic over a file
        raise refuse(model, f"its tokenizer cannot be loaded: {first_line(error)}") from error
    if not reference.is_fast or reference.pad_token_id is None:
        raise refuse(model, "expected a fast tokenizer with a padding token.")
    return _inspect(model, reference, type_count)


def _inspect(model: str, reference: Any, type_count: int) -> PairTokenizer:
    raw = reference.backend_tokenizer
    raw.no_truncation()
    raw.no_padding()
    raw.encode_special_tokens = bool(reference.split_special_tokens)
    probe = raw.encode(PROBES[0], PROBES[1])
    token_types = "token_type_ids" in reference.model_input_names and type_count > 1 and any(probe.type_ids)
    if token_types and first_segment(probe.type_ids) is None:
        raise refuse(model, f"expected token types 0 for the query, then 1 for the product, got {probe.type_ids}.")
    template, reason = _check(read_template(probe), raw, reference)
    return PairTokenizer(
        json=raw.to_str(),
        encodes_special_tokens=bool(reference.split_special_tokens),
        template=template,
        reason=reason,
        special=int(raw.num_special_tokens_to_add(is_pair=True)),
        token_types=token_types,
        pad_id=int(reference.pad_token_id),
        left=reference.truncation_side == "left",
        maximum=int(reference.model_max_length),
        ids=1 + max(raw.get_vocab().values(), default=0),
    )


def _check(template: Template | None, raw: Tokenizer, reference: Any) -> tuple[Template | None, str]:
    reason = "its pairs are not query, then product, between special tokens"
    if template is not None:
        odd = first_difference(template, raw, reference)
        if odd is None:
            return template, ""
        reason = f"ids put together differ from the tokenizer's own for query {odd[0]!r} and product {odd[1]!r}"
    log.warning(
        "pairs are encoded as pairs, which is slower: %(reason)s", {"reason": reason}, extra={"event": "slow_tokenizer"}
    )
    return None, reason
