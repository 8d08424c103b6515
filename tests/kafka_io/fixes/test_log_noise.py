"""The client's log."""

from worker.kafka_io.fixes.log_noise import OncePer


def test_a_message_of_the_client_is_logged_once_in_a_while() -> None:
    once = OncePer(30.0)
    assert [once.passes("kafka", "gone: %s", now_s) for now_s in (0.0, 1.0, 29.9, 30.0, 31.0)] == [
        True, False, False, True, False
    ]  # fmt: skip
    assert once.passes("kafka", "another", 1.0)
