"""What kafka-python 3.0.12 leaves out for a static member, one with a `group_instance_id`.

Where another process takes its place, the client logs that and stops its heartbeats; `poll` goes on as if nothing had
happened, and fetches what belongs to the other one. And it is the leader of the group that looks for new partitions of
the topic, but a leader that was restarted is not told that it is one. So here every static member looks; where one that
is not the leader has found some, the group answers that nothing has changed.

And it never leaves the group: where that is wanted, the client is told that it is no static member. The request that it
sends then names the instance too (version 3 and later, KIP-345), so that the group gives the name up with the member.
"""

from typing import Any

from kafka.coordinator.base import MemberState
from kafka.errors import FencedInstanceIdError


class StaticMember:
    """Watches over the coordinator of a KafkaConsumer; does nothing where the member has no `group_instance_id`."""

    def __init__(self, consumer: Any) -> None:
        self._fenced: FencedInstanceIdError | None = None
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
        self._send = self._coordinator._send_heartbeat_request  # noqa: SLF001
        self._coordinator._send_heartbeat_request = self._send_heartbeat  # noqa: SLF001

    def check(self) -> None:
        """Raise FencedInstanceIdError where another process has taken its place. To be called before each poll."""
        if self._fenced is not None:
            raise self._fenced
        coordinator = self._coordinator
        if coordinator.group_instance_id is not None and coordinator.state is MemberState.STABLE:
            known = coordinator._metadata_snapshot  # noqa: SLF001
            if coordinator._assignment_snapshot is None and all(known.values()):  # noqa: SLF001
                coordinator._assignment_snapshot = known  # noqa: SLF001 - it joins again where the two differ

    def leave_on_close(self) -> None:
        """Have the client leave the group when it is closed."""
        self._coordinator.is_dynamic_member = lambda: True

    async def _send_heartbeat(self) -> Any:
        try:
            return await self._send()
        except FencedInstanceIdError as error:
            self._fenced = error
            raise
