"""Folders: private, this user's, marked by Mayfly where it may empty them, and never somebody else's."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mayfly import folders
from mayfly.errors import FolderRefused

WHAT = "the folder of this test"


def private(path, **options):
    return folders.private(path, what=WHAT, **options)


def mode(path):
    return path.stat().st_mode & 0o7777


@pytest.fixture(autouse=True)
def _usual_mask():
    """As most people have it, whatever these tests run under."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def others(tmp_path):
    """A folder of another user with a file in it."""
    if os.geteuid() != 0:
        pytest.fail("only root can give a folder away: run the tests as root, as CI does")
    folder = tmp_path / "others"
    folder.mkdir(mode=0o700)
    (folder / "precious").write_text("x")
    os.chown(folder, 12345, 12345)
    return folder


def refused(path, text, **options):
    with pytest.raises(FolderRefused, match=text) as raised:
        private(path, **options)
    assert raised.value.code == "folder_refused"
    assert str(raised.value).startswith(WHAT)
    assert str(path) not in str(raised.value)


def test_what_is_made_is_private_and_so_are_its_parents(tmp_path):
    assert private(tmp_path / "a" / "b" / "c") == tmp_path / "a" / "b" / "c"
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3
    assert not folders.is_marked(tmp_path / "a" / "b" / "c")
    (tmp_path / "a" / "b" / "c" / "file").write_text("x")
    private(tmp_path / "a" / "b" / "c")


def test_a_mark_is_set_when_the_folder_is_made_and_lasts(tmp_path):
    private(tmp_path / "a", marked=True)
    assert folders.is_marked(tmp_path / "a")
    assert b"Mayfly" in (tmp_path / "a" / folders.MARK).read_bytes()
    (tmp_path / "a" / "file").write_text("x")
    private(tmp_path / "a", marked=True)


@pytest.mark.parametrize("marked", [False, True])
def test_an_empty_folder_becomes_private(tmp_path, marked):
    (tmp_path / "a").mkdir(mode=0o755)
    private(tmp_path / "a", marked=marked)
    assert mode(tmp_path / "a") == 0o700
    assert folders.is_marked(tmp_path / "a") is marked


def test_a_marked_folder_that_was_opened_is_closed_again(tmp_path):
    private(tmp_path / "a", marked=True)
    (tmp_path / "a").chmod(0o755)
    private(tmp_path / "a", marked=True)
    assert mode(tmp_path / "a") == 0o700


def test_a_folder_with_other_files_gets_no_mark(tmp_path):
    (tmp_path / "uploads").mkdir(mode=0o700)
    (tmp_path / "uploads" / "precious").write_text("x")
    refused(tmp_path / "uploads", "not Mayfly's", marked=True)
    assert [path.name for path in (tmp_path / "uploads").iterdir()] == ["precious"]
    # Without a mark it may be used, for then nothing in it is removed.
    private(tmp_path / "uploads")


@pytest.mark.parametrize("open_to", [0o755, 0o750, 0o701])
def test_a_folder_with_files_that_others_may_enter_is_refused_as_it_is(tmp_path, open_to):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    (tmp_path / "a").chmod(open_to)
    refused(tmp_path / "a", "chmod 700")
    assert mode(tmp_path / "a") == open_to


def test_a_folder_where_anybody_may_write_is_nobodys(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a").chmod(0o1777)
    refused(tmp_path / "a", "chmod 700")
    assert mode(tmp_path / "a") == 0o1777


@pytest.mark.parametrize("marked", [False, True])
def test_a_folder_of_another_user_is_refused(others, marked):
    refused(others, "another user", marked=marked)
    (others / "precious").unlink()
    refused(others, "another user", marked=marked)
    assert list(others.iterdir()) == []


def test_a_mark_of_another_user_is_none(tmp_path, others):
    private(tmp_path / "a", marked=True)
    (tmp_path / "a" / "file").write_text("x")
    os.chown(tmp_path / "a" / folders.MARK, 12345, 12345)
    assert not folders.is_marked(tmp_path / "a")
    refused(tmp_path / "a", "not Mayfly's", marked=True)
    (tmp_path / "a" / folders.MARK).unlink()
    (tmp_path / "a" / folders.MARK).symlink_to(tmp_path / "a" / "file")
    assert not folders.is_marked(tmp_path / "a")


@pytest.mark.parametrize("target", ["folder", "nowhere"])
def test_a_link_is_not_followed(tmp_path, target):
    private(tmp_path / "folder", marked=True)
    (tmp_path / "link").symlink_to(tmp_path / target)
    refused(tmp_path / "link", "link", marked=True)
    assert not folders.is_marked(tmp_path / "link")
    assert not (tmp_path / "nowhere").exists()


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "a").write_text("x")
    refused(tmp_path / "a", "no folder")


def test_a_mark_is_not_written_through_a_link(tmp_path):
    """As a neighbour in a shared folder might lay it, before the folder was private."""
    (tmp_path / "a").mkdir(mode=0o700)
    (tmp_path / "a" / folders.MARK).symlink_to(tmp_path / "made")
    refused(tmp_path / "a", "not Mayfly's", marked=True)
    assert not (tmp_path / "made").exists()


def test_many_at_once_make_one_folder(tmp_path):
    barrier = threading.Barrier(8, timeout=30)

    def work(number):
        barrier.wait()
        for turn in range(20):
            folder = private(tmp_path / str(turn) / "a", marked=True)
            (folder / f"file-{number}").write_text("x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8), timeout=60))


def test_only_what_lies_in_a_marked_folder_is_removed(tmp_path):
    marked = private(tmp_path / "marked", marked=True)
    for folder in (marked / "slot", tmp_path / "uploads"):
        folder.mkdir()
        (folder / "file").write_text("x")
    assert folders.remove(marked / "slot")
    assert not (marked / "slot").exists()
    assert not folders.remove(tmp_path / "uploads")
    assert (tmp_path / "uploads" / "file").exists()
    # Links in it are removed, and not what they name.
    (marked / "slot").mkdir()
    (marked / "slot" / "link").symlink_to(tmp_path / "uploads")
    assert folders.remove(marked / "slot")
    assert (tmp_path / "uploads" / "file").exists()
