"""A model's pair template: the special tokens around query and product, read from its tokenizer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tokenizers import Encoding, Tokenizer

# What shops and shoppers write, and what breaks tokenizers: pairs of these are put together at load in both ways.
PROBES = (
    "usb c cable",
    "Wireless Noise-Cancelling Headphones, 40h (2nd Gen.)",
    " leading and trailing ",
    "tab\tnewline\nnull\x00control\x07",
    "",
    " ",
    "...!?",
    "CAFÉ Crème brûlée Straße e\u0301",
    "充电器 ワイヤレス 이어폰 зарядка",
    "👩‍👩‍👧 \U0001f600\ufe0f ½″ × 3⁄4 №5 ﬁt",  # noqa: RUF001 - as shops write them
    "[CLS] [SEP] [PAD] [MASK] <s> </s> <pad> <mask> <unk>",
    "[SEP]",
    "</s>",
    "<b>Features</b><br> &amp; 100% cotton",
    "12-Gauge 5-1/2in. x 3.5mm " * 12,
)


@dataclass(frozen=True, slots=True)
class Template:
    """How a pair is put together: `prefix`, query, `middle`, product, `suffix`.

    `first` is how many of the middle's tokens are of the first segment.
    """

    prefix: tuple[int, ...]
    middle: tuple[int, ...]
    suffix: tuple[int, ...]
    first: int

    def __len__(self) -> int:
        """Return the number of special tokens of a pair."""
        return len(self.prefix) + len(self.middle) + len(self.suffix)

    def wrap(self, query: list[int], product: list[int]) -> list[int]:
        """Return the pair's ids, the slow way: the check at load is written with it."""
        return [*self.prefix, *query, *self.middle, *product, *self.suffix]


def read_template(encoding: Encoding) -> Template | None:
    """Return the template of a pair that was encoded without truncation, None where the pair has another shape.

    Both texts must have given at least one token.
    """
    ids, sequence = encoding.ids, encoding.sequence_ids
    query = [at for at, number in enumerate(sequence) if number == 0]
    product = [at for at, number in enumerate(sequence) if number == 1]
    one = first_segment(encoding.type_ids)
    if not query or not product or query[-1] > product[0] or one is None:
        return None
    middle = ids[query[-1] + 1 : product[0]]
    # Without token type 1 (one is the pair's length) the middle belongs to the query, as it does in BERT's pairs.
    first = min(one - query[-1] - 1, len(middle))
    template = Template(tuple(ids[: query[0]]), tuple(middle), tuple(ids[product[-1] + 1 :]), first)
    return (
        template
        if first >= 0 and template.wrap(ids[query[0] : query[-1] + 1], ids[product[0] : product[-1] + 1]) == ids
        else None
    )


def first_segment(types: Sequence[int]) -> int | None:
    """Return how many tokens have type 0 where all others follow them with type 1, else None."""
    one = types.index(1) if 1 in types else len(types)
    return one if list(types) == [0] * one + [1] * (len(types) - one) else None


def first_difference(template: Template, raw: Tokenizer, reference: Any) -> tuple[str, str] | None:
    """Return the first pair of probes whose ids or token types, put together, are not the reference tokenizer's."""
    single = [raw.encode(text, add_special_tokens=False).ids for text in PROBES]
    pairs = [(at, (at * step + 1) % len(PROBES)) for at in range(len(PROBES)) for step in (1, 2, 4)]
    # A list, as servers call it: for one pair with an empty product the reference leaves the second segment out.
    queries, products = [PROBES[query] for query, _ in pairs], [PROBES[product] for _, product in pairs]
    expected = reference(queries, products, verbose=False, return_token_type_ids=True)
    for (query, product), ids, types in zip(pairs, expected["input_ids"], expected["token_type_ids"], strict=True):
        split = len(template.prefix) + len(single[query]) + template.first
        right = template.wrap(single[query], single[product]) == ids
        if not right or (1 in types and first_segment(types) != split):
            return PROBES[query], PROBES[product]
    return None
