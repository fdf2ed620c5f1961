"""A directory as a store: files are complete or not there, private, and named by time."""

from __future__ import annotations

import ntpath
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from zespan_serverless.errors import ConfigurationError
from zespan_serverless.exporters import Outcome
from zespan_serverless.exporters.stores import batch_of, directory, open_store
from zespan_serverless.exporters.stores.directory import Directory


@pytest.mark.parametrize("form", ["{}", "file://{}", "FILE://{}", "file://localhost{}"])
def test_a_path_or_a_url(form: str, tmp_path: Path) -> None:
    """Both name a directory, which is made when the first batch comes."""
    folder = tmp_path / "not yet" / "there"
    store = open_store(form.format(folder))
    assert not folder.exists()
    assert store.put(b"batch", "name", 1.0) == Outcome("delivered")
    assert (folder / "name.gz").read_bytes() == b"batch"


def test_a_url_may_be_quoted(tmp_path: Path) -> None:
    """A blank in a URL is %20."""
    open_store(f"file://{tmp_path}/a%20b").put(b"batch", "name", 1.0)
    assert (tmp_path / "a b" / "name.gz").exists()


def test_a_url_may_name_a_drive(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows, file:///C:/parking is C:\\parking."""
    monkeypatch.setattr(directory, "os", SimpleNamespace(name="nt", path=ntpath))
    assert directory._folder_of("file:///C:/parking") == "C:\\parking"
    assert directory._folder_of("C:\\parking") == "C:\\parking"


@pytest.mark.parametrize("url", ["file://mnt/parking", "file://"])
def test_a_host_is_no_directory(url: str) -> None:
    """Two slashes instead of three are a mistake, which would write elsewhere."""
    with pytest.raises(ConfigurationError, match="three slashes"):
        open_store(url)


def test_what_was_put_is_listed_read_and_deleted(tmp_path: Path) -> None:
    """Oldest first; other files are left alone."""
    (tmp_path / "README").write_text("not ours")
    store = Directory(str(tmp_path))
    for name in ("2", "1", "3"):
        store.put(name.encode(), name, 1.0)
    assert [(name, store.get(name)) for name in store.list()] == [("1", b"1"), ("2", b"2"), ("3", b"3")]
    store.delete("2")
    store.delete("2")
    assert [*store.list()] == ["1", "3"]
    with pytest.raises(KeyError):
        store.get("2")
    assert (tmp_path / "README").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes with names")
def test_what_is_no_file_cannot_be_read(tmp_path: Path) -> None:
    """A folder, a link to nothing, or a pipe, which may never have a writer."""
    (tmp_path / "a.gz").mkdir()
    (tmp_path / "b.gz").symlink_to(tmp_path / "nothing")
    os.mkfifo(tmp_path / "c.gz")
    store = Directory(str(tmp_path))
    for name in store.list():
        with pytest.raises(ValueError, match="it is no file"):
            store.get(name)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")
def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    """Events hold prompts."""
    store = Directory(str(tmp_path / "parking"))
    store.put(b"batch", "name", 1.0)
    assert (tmp_path / "parking").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "parking" / "name.gz").stat().st_mode & 0o777 == 0o600


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path) -> None:
    """The error is the caller's to handle, and half a file does not stay."""
    store = Directory(str(tmp_path))
    with (
        mock.patch.object(os, "fsync", side_effect=OSError(28, "disk full")),
        pytest.raises(OSError, match="disk full"),
    ):
        store.put(b"batch", "name", 1.0)
    assert [*tmp_path.iterdir()] == []


def test_a_write_that_takes_too_long_is_kept(tmp_path: Path) -> None:
    """The process may be about to end: an event that the backend gets twice is better than one that it misses."""
    store = Directory(str(tmp_path))
    assert store.put(b"batch", "name", -1.0) == Outcome("delivered")
    assert store.get("name") == b"batch"


def test_a_complete_file_of_a_process_that_was_killed_is_a_batch(tmp_path: Path) -> None:
    """Its process was killed while it waited for the disk, before the file had its name."""
    batch = batch_of([b"{}"], {"exporter": "zespan", "content_type": "application/json"})
    (tmp_path / "whole.gz.unfinished").write_bytes(batch)
    (tmp_path / "part.gz.unfinished").write_bytes(batch[:-1])
    (tmp_path / "holes.gz.unfinished").write_bytes(batch[:-9] + bytes(9))
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe.gz.unfinished")
    store = Directory(str(tmp_path))
    assert [*store.list()] == ["whole"]
    assert store.get("whole") == batch
    store.delete("whole")
    assert [*store.list()] == []
    with pytest.raises(KeyError):
        store.get("whole")


def test_what_a_killed_process_left_incomplete_is_removed_in_time(tmp_path: Path) -> None:
    """It is never listed, and it is removed when no process can be writing it any more."""
    for name, age in (("old", 4000.0), ("new", 10.0)):
        (tmp_path / f"{name}.gz.unfinished").write_text("half")
        os.utime(tmp_path / f"{name}.gz.unfinished", (time.time() - age, time.time() - age))
    assert [*Directory(str(tmp_path)).list()] == []
    assert [file.name for file in tmp_path.iterdir()] == ["new.gz.unfinished"]


def test_a_file_that_cannot_be_read_is_not_removed(tmp_path: Path) -> None:
    """It may be complete: a disk may be unavailable, or the file another user's. It is left for another replay."""
    file = tmp_path / "old.gz.unfinished"
    file.write_bytes(batch_of([b"{}"], {"exporter": "zespan", "content_type": "application/json"}))
    os.utime(file, (time.time() - 4000.0, time.time() - 4000.0))
    store = Directory(str(tmp_path))
    with mock.patch("builtins.open", side_effect=OSError(116, "stale file handle")):
        assert [*store.list()] == ["old"]
        with pytest.raises(OSError, match="stale"):
            store.get("old")
    assert [*store.list()] == ["old"]
