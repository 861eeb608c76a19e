"""Files and folders that appear whole or not at all."""

from pathlib import Path

import pytest

from wim.atomic import whole_file, whole_folder


def test_a_folder_appears_whole_and_takes_the_old_ones_place(tmp_path: Path) -> None:
    folder = tmp_path / "new/checkpoint"
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
        assert not folder.exists()
    with whole_folder(folder) as partial:
        (partial / "b").write_text("2")
        assert [path.name for path in folder.iterdir()] == ["a"]
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_folder_and_no_partial_one(tmp_path: Path, fault) -> None:
    folder = tmp_path / "checkpoint"
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
    with pytest.raises(fault), whole_folder(folder) as partial:
        (partial / "b").write_text("2")
        raise fault
    assert [path.name for path in folder.iterdir()] == ["a"]
    assert list(tmp_path.iterdir()) == [folder]


def test_what_a_killed_job_left_behind_is_not_taken_over(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    with whole_folder(folder) as partial:
        left = partial
    left.mkdir()
    (left / "torn").write_text("x")
    with whole_folder(folder) as partial:
        (partial / "a").write_text("1")
    assert [path.name for path in folder.iterdir()] == ["a"]


@pytest.mark.parametrize("fault", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_file_is_replaced_whole_or_kept_as_it_was(tmp_path: Path, fault) -> None:
    path = tmp_path / "new/file.txt"
    with whole_file(path) as partial:
        partial.write_text("1")
        assert not path.exists()
    with pytest.raises(fault), whole_file(path) as partial:
        partial.write_text("2")
        raise fault
    assert path.read_text() == "1"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_a_link_is_replaced_and_what_it_names_is_kept(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "old").touch()
    (tmp_path / "folder").symlink_to(elsewhere)
    with whole_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert [path.name for path in elsewhere.iterdir()] == ["old"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "folder"]
