"""The reader of dead letters, for headers of any shape: a dead letter or a clear error."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.dead_letters import DeadLetter, NotADeadLetterError, read, replayed_headers
from worker.events.schema import load_schema
from worker.records import Headers, Partition, Record

SCHEMA = load_schema("dead-letter.v1.json")
EXAMPLE: dict[str, str] = SCHEMA["examples"][0]
NAMES = sorted(SCHEMA["properties"])

numbers = st.sampled_from(["0", "-1", "1", "007", "1.5", "1e3", "+1", "1\n", "٣", "9" * 19, "9" * 40, "0x1", "nan"])
texts = st.none() | st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | numbers.map(str.encode)
times = st.datetimes().map(lambda time: (time.isoformat(timespec="milliseconds") + "Z").encode())
any_headers = st.lists(st.tuples(st.sampled_from(NAMES) | st.text(max_size=20), texts), max_size=30).map(tuple)


def read_or_refused(headers: Headers, value: bytes | None = b"{}", timestamp_ms: int = 0) -> DeadLetter | None:
    record = Record(Partition("letters", 0), 7, timestamp_ms, None, value, headers)
    refused = None
    try:
        letter = read(record)
    except NotADeadLetterError as error:
        refused = str(error)
    if refused is None:
        return letter
    assert refused.startswith("letters[0] offset 7 is not a dead letter: header dlq.")
    assert len(refused) < 400
    assert "\n" not in refused
    return None


def with_header(name: str, text: bytes | None) -> Headers:
    return tuple((each, text if each == name else value.encode()) for each, value in {**EXAMPLE, name: ""}.items())


@given(any_headers, st.none() | st.binary(max_size=20), st.integers(-1, 2**63 - 1))
def test_headers_of_any_shape_are_a_dead_letter_or_a_clear_error(
    headers: Headers, value: bytes | None, timestamp_ms: int
) -> None:
    read_or_refused(headers, value, timestamp_ms)


@given(st.sampled_from(NAMES), texts | times)
def test_any_text_in_one_header_of_a_dead_letter_is_read_or_named(name: str, text: bytes | None) -> None:
    letter = read_or_refused(with_header(name, text))
    if letter is not None:
        again = read_or_refused((*with_header(name, text), *replayed_headers(letter)))
        assert again is not None
        assert (again.first, again.replays) == (letter.first, letter.replays + 1)


@given(st.sets(st.sampled_from(sorted(EXAMPLE)), min_size=1))
def test_a_dead_letter_lacks_no_header_that_is_required(missing: set[str]) -> None:
    letter = read_or_refused(tuple((name, text.encode()) for name, text in EXAMPLE.items() if name not in missing))
    assert (letter is None) == bool(missing & set(SCHEMA["required"]))


@given(st.permutations(sorted(EXAMPLE.items())), any_headers)
def test_of_a_header_that_comes_twice_the_last_one_counts(example: list[tuple[str, str]], before: Headers) -> None:
    known = {name for name, _ in example}
    earlier = tuple(header for header in before if header[0] in known)
    letter = read_or_refused((*earlier, *((name, text.encode()) for name, text in example)))
    assert letter is not None
    assert (letter.offset, letter.reason) == (41_822, "schema")
