"""Whether a member with a name of its own leaves the group when it is asked to stop."""

from __future__ import annotations

import pytest

from worker.kafka_io.departure import OnStop, leaves, process_age_s


@pytest.mark.parametrize(
    ("session_timeout_s", "start_s", "going"),
    [
        (6.0, 3.0, False),  # it should be back after 6 s
        (6.0, 3.1, True),
        (60.0, 3.0, False),
        (60.0, 3.1, True),  # a long session is for workers that are killed
        (3.0, 1.5, False),
        (3.0, 1.6, True),
        (60.0, None, True),  # it never was a member, or nobody knows since when
    ],
)
def test_a_member_stays_where_it_should_be_back_before_it_is_missed(
    session_timeout_s: float, start_s: float | None, going: bool
) -> None:
    assert leaves("auto", session_timeout_s=session_timeout_s, start_s=start_s) is going


@pytest.mark.parametrize("start_s", [None, 0.1, 100.0])
@pytest.mark.parametrize(("on_stop", "going"), [("leave", True), ("stay", False)])
def test_what_was_chosen_is_done_however_long_its_start_took(
    on_stop: OnStop, going: bool, start_s: float | None
) -> None:
    assert leaves(on_stop, session_timeout_s=6.0, start_s=start_s) is going


def test_the_age_of_the_process_grows_from_its_start() -> None:
    first, second = process_age_s(), process_age_s()
    assert first is not None
    assert second is not None
    assert 0 < first <= second


def test_where_the_system_does_not_say_when_the_process_began_its_age_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("worker.kafka_io.departure._STARTED", 1000)
    assert process_age_s() is None
