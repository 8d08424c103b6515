"""One-way queues between threads."""

import threading

import pytest

from worker.flow.channel import Channel, EndOfChannelError


def test_what_is_put_comes_out_in_order() -> None:
    channel: Channel[int] = Channel()
    for number in range(3):
        channel.put(number)
    assert len(channel) == 3
    assert channel.take() == [0, 1, 2]
    assert len(channel) == 0


def test_a_take_gives_up_when_its_time_is_over() -> None:
    assert Channel[int]().take(0.001) == []


def test_what_waits_at_the_close_is_still_seen() -> None:
    channel: Channel[int] = Channel()
    channel.put(1)
    channel.put(2)
    channel.close()
    assert list(channel) == [1, 2]
    with pytest.raises(EndOfChannelError):
        channel.take()


def test_nothing_can_be_put_into_a_closed_channel() -> None:
    channel: Channel[int] = Channel()
    channel.close()
    channel.close()
    with pytest.raises(EndOfChannelError):
        channel.put(1)


def test_a_reader_that_waits_is_woken_by_an_item_and_by_the_close() -> None:
    channel: Channel[int] = Channel()
    seen: list[int] = []
    readers = [threading.Thread(target=lambda: seen.extend(channel)) for _ in range(3)]
    for reader in readers:
        reader.start()
    for number in range(1000):
        channel.put(number)
    channel.close()
    for reader in readers:
        reader.join(10)
    assert sorted(seen) == list(range(1000))
