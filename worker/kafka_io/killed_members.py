"""Has the group forget members of this machine whose process was killed, so that no join waits for them.

A member that dies without a word stays in the group until its session ends. A worker that comes straight back joins as
a new one, and the join waits for the dead. So each worker leaves its member id in a file, which it keeps locked as long
as it lives; the system unlocks it, however the process ends. The next worker that finds such a file without its lock
tells the group that this member has left. A worker that stands still keeps its lock, and its place.

The files are in the folder for temporary ones, by user, cluster and group: a container that is started again in its pod
finds them on the volume there. Without such a folder, or on another machine, the session has to end.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka import errors as kafka_errors
from kafka.protocol.consumer import LeaveGroupRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from worker.kafka_io.options import KafkaOptions

log = logging.getLogger(__name__)

_WITHIN_MS = 2_000  # the group waits for a session at most if it is not told


class MemberFile:
    """The file of one process, which holds the id of the member that it is; nothing where there is no place for it."""

    def __init__(self, folder: Path | None) -> None:
        self._path: Path | None = None
        if folder is not None:
            try:
                self._path, self._file = _create(folder)
            except OSError:
                self._path = None

    def note(self, member_id: str) -> None:
        """Note the id; "" for none."""
        if self._path is not None:
            written = os.pwrite(self._file, member_id.encode(), 0)
            os.ftruncate(self._file, written)

    def close(self) -> None:
        """Remove it: the group was left. May be called twice."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._path = None


def folder_of(options: KafkaOptions) -> Path | None:
    """Return the folder for the files of this user, cluster and group; None if there is none."""
    name = hashlib.sha256(f"{options.bootstrap_servers} {options.group_id}".encode()).hexdigest()[:16]
    try:
        folder = Path(tempfile.gettempdir()) / f"rerank-worker-{os.getuid()}" / name
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        mine = [place.lstat().st_uid == os.getuid() and not place.is_symlink() for place in (folder.parent, folder)]
    except OSError:
        return None
    return folder if all(mine) else None


def dead_members(folder: Path) -> Iterator[str]:
    """Yield the ids of members whose process has ended without leaving the group, and remove their files."""
    for path in sorted(folder.glob("*.member")):
        try:
            file = os.open(path, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # refused while the process lives
            path.unlink(missing_ok=True)
            if member_id := os.read(file, 1000).decode(errors="replace"):
                yield member_id
        except OSError:
            continue
        finally:
            os.close(file)


def remove_from_group(consumer: Any, group_id: str, member_ids: list[str]) -> None:
    """Tell the group of a KafkaConsumer, which has not joined yet, that these members have left it; or give up."""
    if not member_ids:
        return
    coordinator, manager = consumer._coordinator, consumer._manager  # noqa: SLF001 - the client has no method for it

    async def remove(member_id: str) -> Any:
        if not await coordinator.ensure_coordinator_ready_async(timeout_ms=_WITHIN_MS):
            raise kafka_errors.KafkaTimeoutError
        member = LeaveGroupRequest.MemberIdentity(
            member_id=member_id, group_instance_id=None, reason="its process has ended"
        )
        request = LeaveGroupRequest(group_id=group_id, member_id=member_id, members=[member])
        return await manager.wait_for(manager.send(request, node_id=coordinator.coordinator_id), _WITHIN_MS)

    for member_id in member_ids:
        try:
            answer = consumer._net.run(remove, member_id)  # noqa: SLF001
        except kafka_errors.KafkaError:
            return  # what is wrong shows when the group is joined
        if not any([answer.error_code, *(member.error_code for member in answer.members or ())]):
            log.info(
                "removed %(member)s from the group: its process has ended",
                {"member": member_id},
                extra={"event": "dead_member_removed"},
            )


def _create(folder: Path) -> tuple[Path, int]:
    """Return a new file and its descriptor, locked. Raises OSError."""
    path = folder / f"{uuid.uuid4()}.member"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise
    return path, file
