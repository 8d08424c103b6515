"""Dead letters: events that cannot be reranked, kept as they came; the worker writes them, the tools read them."""

from worker.dead_letters.reading import DeadLetter, NotADeadLetterError, Origin, read, replayed_headers
from worker.dead_letters.writing import REASONS, Letter, dead_letter

__all__ = [
    "REASONS",
    "DeadLetter",
    "Letter",
    "NotADeadLetterError",
    "Origin",
    "dead_letter",
    "read",
    "replayed_headers",
]
