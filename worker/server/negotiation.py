"""Which form of a document a client is given, by its Accept header (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Offer(Protocol):
    """A form that is offered."""

    @property
    def media_type(self) -> str:
        """Type and subtype, in small letters."""

    @property
    def version(self) -> str:
        """What its parameter `version` says."""


O = TypeVar("O", bound=Offer)  # noqa: E741 - an offer


class MediaRange(NamedTuple):
    """What a client accepts, and how much it likes that, from 0 to 1."""

    media_type: str  # may end in *
    parameters: Mapping[str, str]
    quality: float

    def specificity(self, offer: Offer) -> int | None:
        """Return how closely it describes an offer, from 0 for `*/*`; None where it does not take it."""
        kind, _, _ = offer.media_type.partition("/")
        wildcards = {"*/*": 0, f"{kind}/*": 1}
        if self.media_type in wildcards:
            return wildcards[self.media_type]
        if self.media_type != offer.media_type:
            return None
        version = self.parameters.get("version")
        if version is None:
            return 2
        return 3 if version == offer.version else None


def chosen(accept: str, offers: Sequence[O]) -> O:
    """Return the offer that the client likes most.

    Among several of the same quality: that which it describes most closely, then that which it names first, then the
    first offer. The first offer also where it accepts none of them, or says nothing: to refuse would help nobody.
    """
    ranges = list(media_ranges(accept))

    def rank(offer: O) -> tuple[float, int, int]:
        matches = [
            (specificity, -place, ranges[place].quality)
            for place in range(len(ranges))
            if (specificity := ranges[place].specificity(offer)) is not None
        ]
        specificity, place, quality = max(matches, default=(0, 0, 0.0))
        return quality, specificity, place

    best = max(offers, key=rank)
    return best if rank(best)[0] > 0 else offers[0]


def media_ranges(accept: str) -> Iterator[MediaRange]:
    """Yield the parts of an Accept header; what is no media range is left out."""
    for part in _split(accept, ","):
        media_type, *rest = (each.strip() for each in _split(part, ";"))
        parameters = {
            name.strip().lower(): _unquoted(value.strip()) for name, _, value in (p.partition("=") for p in rest)
        }
        quality = _quality(parameters.get("q", "1"))
        if media_type.count("/") == 1 and quality is not None:
            yield MediaRange(media_type.lower(), parameters, quality)


def _quality(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if math.isfinite(quality) and 0 <= quality <= 1 else None


def _split(text: str, separator: str) -> Iterator[str]:
    """Yield the parts between separators; one inside a quoted string separates nothing."""
    part: list[str] = []
    quoted = escaped = False
    for letter in text:
        if letter == separator and not quoted:
            yield "".join(part)
            part = []
            continue
        quoted ^= letter == '"' and not escaped
        escaped = quoted and letter == "\\" and not escaped
        part.append(letter)
    yield "".join(part)


def _unquoted(value: str) -> str:
    return value[1:-1].replace("\\", "") if len(value) > 1 and value[0] == value[-1] == '"' else value
