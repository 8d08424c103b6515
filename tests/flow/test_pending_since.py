"""The age of what is being tried."""

from __future__ import annotations

from worker.flow.pending_since import PendingSince


def test_it_ages_from_its_first_try_until_it_succeeds() -> None:
    attempt = PendingSince()
    assert attempt.age_s() == 0
    attempt.begin()
    assert attempt._since_s is not None
    attempt._since_s -= 7
    attempt.begin()
    assert attempt.age_s() >= 7
    attempt.end()
    assert attempt.age_s() == 0
