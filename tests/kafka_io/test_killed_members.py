"""Members of this machine that were killed: found by their files, and by nothing else."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from worker.kafka_io import KafkaOptions
from worker.kafka_io.killed_members import MemberFile, dead_members, folder_of

if TYPE_CHECKING:
    from pathlib import Path


def _killed(folder: Path, member_id: str) -> None:
    """Leave what a process leaves that is killed: the system closes its file, and nothing removes it."""
    file = MemberFile(folder)
    file.note(member_id)
    os.close(file._file)


def test_a_member_whose_process_was_killed_is_found_once(tmp_path: Path) -> None:
    _killed(tmp_path, "one")
    _killed(tmp_path, "two")
    assert sorted(dead_members(tmp_path)) == ["one", "two"]
    assert list(dead_members(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_lives_is_not_taken_for_dead(tmp_path: Path) -> None:
    file = MemberFile(tmp_path)
    file.note("alive")
    assert list(dead_members(tmp_path)) == []
    assert [path.read_text() for path in tmp_path.iterdir()] == ["alive"]
    file.close()


def test_the_last_id_of_a_member_counts_however_long_the_one_before_was(tmp_path: Path) -> None:
    file = MemberFile(tmp_path)
    file.note("a-long-member-id")
    file.note("short")
    os.close(file._file)
    assert list(dead_members(tmp_path)) == ["short"]


@pytest.mark.parametrize("noted", ["", None])
def test_a_process_that_was_no_member_leaves_nothing_to_remove(tmp_path: Path, noted: str | None) -> None:
    file = MemberFile(tmp_path)
    if noted is not None:
        file.note("was-thrown-out")
        file.note(noted)
    os.close(file._file)
    assert list(dead_members(tmp_path)) == []
    assert list(tmp_path.iterdir()) == []


def test_a_member_that_has_left_has_no_file(tmp_path: Path) -> None:
    file = MemberFile(tmp_path)
    file.note("leaves")
    file.close()
    file.close()
    file.note("after the end")
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_something_else_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("x")
    (tmp_path / "folder.member").mkdir()
    assert list(dead_members(tmp_path)) == []
    assert len(list(tmp_path.iterdir())) == 2


def test_each_group_and_cluster_has_a_folder_of_its_own_that_nobody_else_may_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    servers, groups = ("one:9092", "two:9092"), ("g", "h")
    folders = {folder_of(KafkaOptions(bootstrap_servers=a, group_id=b)) for a in servers for b in groups}
    assert len(folders) == 4
    assert all(folder is not None and folder.stat().st_mode & 0o077 == 0 for folder in folders)


def test_without_a_folder_or_in_that_of_somebody_else_nothing_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = KafkaOptions()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert folder_of(options) is None
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / f"rerank-worker-{os.getuid()}").symlink_to(tmp_path / "elsewhere")
    assert folder_of(options) is None
    for folder in (None, tmp_path / "missing"):
        file = MemberFile(folder)
        file.note("nobody reads it")
        file.close()
