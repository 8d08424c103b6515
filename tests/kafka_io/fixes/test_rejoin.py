"""The joins of a group that end badly: what a broker can hardly be made to do when it is wanted."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.coordinator.base import MemberState
from kafka.errors import UnknownMemberIdError

from worker.kafka_io.fixes.rejoin import Joins


def _coordinator(*, lost: bool) -> Any:
    async def join() -> None:
        raise UnknownMemberIdError

    return SimpleNamespace(
        _do_join_and_sync_async=join,
        _join_task=None,
        state=MemberState.UNJOINED,
        _assignors={"one": SimpleNamespace(member_assignment=["a partition"])},
        _generation=SimpleNamespace(is_lost=lambda: lost),
        need_rejoin=lambda: True,
        rejoining=True,
    )


@pytest.mark.parametrize("lost", [True, False])
def test_a_member_that_is_thrown_out_while_it_joins_is_told_what_it_lost_before_it_tries_again(*, lost: bool) -> None:
    coordinator = _coordinator(lost=lost)
    joins = Joins(SimpleNamespace(_coordinator=coordinator, _net=SimpleNamespace(sleep=asyncio.sleep)))
    with pytest.raises(UnknownMemberIdError), joins.attended():
        asyncio.run(joins._join())
    assert coordinator.rejoining is not lost  # the client looks for what was lost where it is not joining yet


@pytest.mark.parametrize(("lost", "claimed"), [(True, None), (False, ["a partition"])])
def test_a_member_that_was_thrown_out_claims_nothing_when_it_joins_again(*, lost: bool, claimed: object) -> None:
    coordinator = _coordinator(lost=lost)
    joins = Joins(SimpleNamespace(_coordinator=coordinator, _net=SimpleNamespace(sleep=asyncio.sleep)))
    with pytest.raises(UnknownMemberIdError), joins.attended():
        asyncio.run(joins._join())
    assert coordinator._assignors["one"].member_assignment == claimed
