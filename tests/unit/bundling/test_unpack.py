"""A bundle comes out as it went in, or not at all; and what is wrong with it is said in words."""

import ensurepip
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wim.bundling import unpack as unpacking
from wim.bundling.archive import write_archive
from wim.bundling.unpack import DONE, LIST, BundleError, this_machine, unpack
from wim.errors import UserError

WHEELS = Path(ensurepip.__file__).parent / "_bundled"
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "small"
version = "1"
"""
# Builds the wheel of an editable installation as setuptools does, which not every Python has.
BACKEND = """
import os, zipfile

def build_editable(folder, config_settings=None, metadata_directory=None):
    with zipfile.ZipFile(os.path.join(folder, "small-1-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("small.pth", os.getcwd())
        wheel.writestr("small-1.dist-info/METADATA", "Metadata-Version: 2.1\\nName: small\\nVersion: 1\\n")
        wheel.writestr(
            "small-1.dist-info/WHEEL",
            "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
        )
        wheel.writestr("small-1.dist-info/RECORD", "")
    return "small-1-py3-none-any.whl"
"""


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """A project that needs nothing, a model's two equal files, a link and a script."""
    folder = tmp_path / "source"
    folder.mkdir()
    texts = {"pyproject.toml": PROJECT, "backend.py": BACKEND, "constraints.txt": ""}
    texts["small.py"] = "ANSWER = 42\n"
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "weights").write_bytes(os.urandom(5000))
    (folder / "link").symlink_to(folder / "weights")
    (folder / "script").write_text("#!/bin/sh\n")
    (folder / "script").chmod(0o755)
    return {
        **{name: folder / name for name in (*texts, "script")},
        "results/models/a/weights": folder / "weights",
        "results/models/b/weights": folder / "link",
        **{f"wheels/{path.name}": path for path in WHEELS.glob("*.whl")},
    }


def packed(folder: Path, files: dict[str, Path], **made_for: str) -> Path:
    """The archive of some files."""
    output = folder / "bundle.tar"
    write_archive(output, files, {**this_machine(), **made_for}, {"run": ".", "extras": []})
    return output


@pytest.fixture
def archive(tmp_path: Path, files: dict[str, Path]) -> Path:
    return packed(tmp_path, files)


@pytest.fixture
def without_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files alone, as making the environment takes long; a test of its own makes one."""
    monkeypatch.setattr(unpacking, "make_environment", lambda folder, listing: None)


def rewritten(archive: Path, change: Callable[[tarfile.TarInfo, bytes], Any]) -> Path:
    """The archive with each entry as `change` returns it: entry and content, or None."""
    output = archive.with_name("changed.tar")
    with tarfile.open(archive) as source, tarfile.open(output, "w") as target:
        for member in source:
            opened = source.extractfile(member)
            assert opened is not None
            if (changed := change(member, opened.read())) is not None:
                entry, content = changed
                target.addfile(entry, io.BytesIO(content))
    return output


@pytest.mark.skipif(not WHEELS.is_dir(), reason="this Python comes without wheels of pip")
def test_the_script_in_the_archive_needs_nothing_but_python_and_makes_the_environment(
    tmp_path: Path, archive: Path
) -> None:
    with tarfile.open(archive) as tar:
        tar.extract("unpack.py", tmp_path, filter="data")
    (tmp_path / "pip.conf").write_text("[global]\nindex-url = http://127.0.0.1:9/none\n")
    done = subprocess.run(
        [sys.executable, "-I", str(tmp_path / "unpack.py"), str(archive), "made"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": str(tmp_path / "pip.conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "snakemake --dry-run" in done.stdout
    made = tmp_path / "made"
    asked = [str(made / ".venv/bin/python"), "-c", "import small; print(small.ANSWER)"]
    assert (
        subprocess.run(asked, capture_output=True, text=True, cwd="/", check=True).stdout == "42\n"
    )
    assert not (made / "wheels").exists()
    with pytest.raises(BundleError, match="unpacked there already"):
        unpack(archive, made)


def test_files_come_out_as_they_were_with_links_as_files(
    tmp_path: Path, archive: Path, files: dict[str, Path], without_environment: None
) -> None:
    unpack(archive, tmp_path / "made")
    for name, source in files.items():
        out = tmp_path / "made" / name
        assert out.read_bytes() == source.read_bytes()
        assert not out.is_symlink()
        assert os.access(out, os.X_OK) == (name == "script")
    assert len({(tmp_path / "made" / name).stat().st_mtime for name in files}) == 1


def test_the_same_files_give_the_same_bytes_and_equal_files_are_packed_once(
    tmp_path: Path, files: dict[str, Path], archive: Path
) -> None:
    first = archive.read_bytes()
    os.utime(files["small.py"])
    assert packed(tmp_path, dict(reversed(files.items()))).read_bytes() == first
    with tarfile.open(archive) as tar:
        names = [name for name in tar.getnames() if name.endswith("weights")]
    assert names == ["results/models/a/weights"]


def test_an_attempt_after_a_damaged_copy_keeps_what_is_whole(
    tmp_path: Path, archive: Path, without_environment: None
) -> None:
    whole = archive.read_bytes()
    made = tmp_path / "made"
    place = whole.index(b"ANSWER")
    archive.write_bytes(whole[:place] + b"a" + whole[place + 1 :])
    with pytest.raises(BundleError, match=r"small\.py has other bytes .* damaged\. Copy it again"):
        unpack(archive, made)
    assert not (made / "small.py").exists()
    kept = (made / "results/models/a/weights").stat().st_ino
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BundleError, match=r"archive .*opy it again"):
        unpack(archive, made)
    archive.write_bytes(whole)
    unpack(archive, made)
    assert (made / "results/models/a/weights").stat().st_ino == kept
    assert (made / "small.py").read_text() == "ANSWER = 42\n"
    assert not list(made.rglob("*.partial"))


def test_a_folder_with_something_else_is_left_alone(
    tmp_path: Path, archive: Path, files: dict[str, Path], without_environment: None
) -> None:
    made = tmp_path / "made"
    made.mkdir()
    (made / "mine.txt").write_text("mine")
    with pytest.raises(BundleError, match="there is something there; write a new folder"):
        unpack(archive, made)
    assert [path.name for path in made.iterdir()] == ["mine.txt"]
    (made / "mine.txt").unlink()
    (made / LIST).write_text("{}")
    with pytest.raises(BundleError, match="half unpacked from another bundle"):
        unpack(archive, made)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("python", "3.9", "is for cpython 3.9 on .*Start this by python3.9"),
        ("machine", "riscv64", "on linux riscv64; found cpython"),
        ("glibc", "99.1", r"needs glibc 99\.1 or newer; found"),
    ],
)
def test_another_python_or_machine_is_refused_before_anything_is_written(
    tmp_path: Path, files: dict[str, Path], name: str, value: str, said: str
) -> None:
    with pytest.raises(BundleError, match=said):
        unpack(packed(tmp_path, files, **{name: value}), tmp_path / "made")
    assert not (tmp_path / "made").exists()


def test_no_room_is_said_before_a_file_is_written(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = unpacking.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda path: usage._replace(free=10))
    with pytest.raises(BundleError, match=r"the disk has 0\.00 GB free; make room there"):
        unpack(archive, tmp_path / "made")
    assert [path.name for path in (tmp_path / "made").iterdir()] == [LIST]


def linked(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "small.py":
        member.type, member.linkname, member.size = tarfile.SYMTYPE, "/etc/passwd", 0
        return member, b""
    return member, content


def renamed(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == "small.py":
        member.name = "../small.py"
    return member, content


def listed_outside(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    if member.name == LIST:
        content = content.replace(b'"small.py"', b'"../small.py"')
        member.size = len(content)
    return member, content


def without_list(member: tarfile.TarInfo, content: bytes) -> Any:
    return None if member.name == LIST else (member, content)


def without_file(member: tarfile.TarInfo, content: bytes) -> Any:
    return None if member.name == "small.py" else (member, content)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (linked, r"its entry 'small\.py' \(no plain file\) is not as its list says"),
        (renamed, r"its entry '\.\./small\.py' is not as its list says"),
        (listed_outside, r"the entry '\.\./small\.py', which is no file inside of the folder"),
        (without_list, "not a bundle: no bundle.json at its beginning"),
        (without_file, "small.py is missing: the archive is cut off"),
    ],
)
def test_an_archive_that_was_tampered_with_writes_nothing_outside(
    tmp_path: Path, archive: Path, change: Any, said: str, without_environment: None
) -> None:
    with pytest.raises(BundleError, match=said):
        unpack(rewritten(archive, change), tmp_path / "made/in")
    assert not (tmp_path / "made/small.py").exists()


def test_a_link_in_the_folder_leads_no_file_out_of_it(
    tmp_path: Path, archive: Path, without_environment: None
) -> None:
    made = tmp_path / "made"
    unpack(archive, made)
    (tmp_path / "outside").mkdir()
    (made / "results/models/a/weights").unlink()
    (made / "results/models/a").rmdir()
    (made / "results/models/a").symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match=r"leads out of .*; delete that link"):
        unpack(archive, made)
    assert not list((tmp_path / "outside").iterdir())


def test_what_is_no_archive_is_said(tmp_path: Path) -> None:
    (tmp_path / "text.tar").write_text("hello")
    with pytest.raises(BundleError, match="not a whole archive"):
        unpack(tmp_path / "text.tar", tmp_path / "made")
    with pytest.raises(BundleError, match="cannot be read: No such file"):
        unpack(tmp_path / "none.tar", tmp_path / "made")


def test_a_file_that_changes_while_it_is_packed_leaves_no_archive(
    tmp_path: Path, files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wim.bundling import archive

    def changed(value: object, **options: Any) -> str:
        files["small.py"].write_text("ANSWER = 43\n")
        return json.JSONEncoder(**options).encode(value)

    monkeypatch.setattr(archive.json, "dumps", changed)
    with pytest.raises(UserError, match=r"small\.py: was changed while it was packed"):
        packed(tmp_path, files)
    assert not list(tmp_path.glob("*bundle.tar*"))


def test_a_finished_folder_is_known_by_its_mark() -> None:
    # The Makefile's `setup` looks at the same file, and so installs nothing again.
    assert DONE == ".venv/installed"
