"""Archives as sources of models and prompts: the same as what is in them, and no way out of them."""

import io
import json
import logging
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from wim.errors import UserError
from wim.fetch.archives import unpack
from wim.models.manifest import read_manifest
from wim.models.stage import stage_model
from wim.prompts.ingest import ingest_prompts
from wim.provenance.digest import digest_file
from wim.settings.models import ModelSource
from wim.settings.prompts import PromptSettings
from wim.tables.files import read_table
from wim.tables.schemas import PROMPTS

FORMATS = ["zip", "tar", "gztar", "bztar", "xztar"]
# A safetensors file without tensors: the length of the header, and the header.
EMPTY_SAFETENSORS = (8).to_bytes(8, "little") + b"{}      "


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder, which lies alone in its folder."""
    folder = tmp_path / "packed" / "own-model"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").write_text('{"a": 1}')
    (folder / "model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    return folder


def staged(source: Path, folder: Path, **settings: str) -> Path:
    stage_model(ModelSource(source=f"path:{source}", **settings), folder)
    return folder / "manifest.json"


def refusal(archive: Path) -> str:
    """The message of an unpacking that is refused, beside which nothing is written."""
    before = {path for path in archive.parent.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as refused:
        unpack(archive, archive.parent / f"unpacked-{archive.name}", "path:own")
    assert {path for path in archive.parent.rglob("*") if path.is_file()} == before
    assert str(refused.value).startswith("path:own: ")
    return str(refused.value)


def write_zip(path: Path, *names: str, change: Callable[[zipfile.ZipInfo], None]) -> Path:
    """A zip file with entries of 100 bytes, in whose directory the last entry was changed."""
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"x" * 100)
        change(archive.infolist()[-1])
    return path


def write_tar(path: Path, *entries: tuple[str, bytes], link: str = "") -> Path:
    """A tar file with entries of a name and a type."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, link
            entry.size = 3 if kind == tarfile.REGTYPE else 0
            archive.addfile(entry, io.BytesIO(b"abc"))
    return path


def nothing(entry: zipfile.ZipInfo) -> None:
    pass


# Models


@pytest.mark.parametrize("packing", FORMATS)
@pytest.mark.parametrize("inside", ["a folder", "the files"])
def test_a_packed_model_is_the_model(
    model: Path, tmp_path: Path, packing: str, inside: str
) -> None:
    root = model.parent if inside == "a folder" else model
    archive = Path(shutil.make_archive(str(tmp_path / "own"), packing, root))
    packed = read_manifest(staged(archive, tmp_path / "from_archive"))
    plain = read_manifest(staged(model, tmp_path / "from_folder"))
    assert (packed.files, packed.digest) == (plain.files, plain.digest)
    assert packed.source_sha256 == digest_file(archive)
    assert packed.source == f"path:{archive}"
    assert {path.name for path in (tmp_path / "from_archive").iterdir()} == {
        *("config.json", "tokenizer.json", "model.safetensors", "manifest.json")
    }
    assert not list(tmp_path.glob(".from_archive*"))


def test_the_sha256_of_an_archive_is_the_one_that_is_asked_for(model: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "zip", model))
    staged(archive, tmp_path / "staged", sha256=digest_file(archive))
    with pytest.raises(UserError, match="not the one that is configured"):
        staged(archive, tmp_path / "refused", sha256="0" * 64)
    assert not (tmp_path / "refused").exists()


def test_what_a_desktop_adds_to_an_archive_is_left_out(model: Path, tmp_path: Path) -> None:
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "zip", model.parent))
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("__MACOSX/own-model/._config.json", b"\0")
        opened.writestr(".DS_Store", b"\0")
        opened.writestr("own-model/.git/config", b"\0")
    manifest = read_manifest(staged(archive, tmp_path / "staged"))
    assert set(manifest.files) == {"config.json", "tokenizer.json", "model.safetensors"}


def test_a_packed_gguf_file_is_read_as_one(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "own.zip", "model.gguf", change=nothing)
    with pytest.raises(UserError, match=r"model\.gguf could not be read as a GGUF model"):
        staged(archive, tmp_path / "staged")


def test_pickles_in_an_archive_are_refused_as_in_a_folder(model: Path, tmp_path: Path) -> None:
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "tar", model.parent))
    with pytest.raises(UserError, match="save_pretrained"):
        staged(archive, tmp_path / "staged")


@pytest.mark.parametrize("name", ["own.7z", "own.tar.zst", "own.rar"])
def test_another_packing_is_answered_with_the_known_ones(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"an archive of one of them \(\.zip, \.tar, \.tar\.gz"):
        staged(tmp_path / name, tmp_path / "staged")


# Archives that are hostile or broken


@pytest.mark.parametrize("name", ["../out.txt", "a/../../out.txt", "/out.txt", "..\\out.txt"])
def test_an_entry_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    said = refusal(write_zip(tmp_path / "a.zip", "config.json", name, change=nothing))
    assert f"'{name}' leads out" in said
    said = refusal(write_tar(tmp_path / "a.tar.gz", (name, tarfile.REGTYPE)))
    assert f"'{name}' leads out" in said


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (tarfile.SYMTYPE, "is a link"),
        (tarfile.LNKTYPE, "is a link"),
        (tarfile.CHRTYPE, "is a device or a pipe"),
        (tarfile.BLKTYPE, "is a device or a pipe"),
        (tarfile.FIFOTYPE, "is a device or a pipe"),
    ],
)
@pytest.mark.parametrize("target", ["/etc/passwd", "config.json"])
def test_what_is_no_file_in_a_tar_is_refused(
    tmp_path: Path, kind: bytes, said: str, target: str
) -> None:
    entries = [("config.json", tarfile.REGTYPE), ("other", kind), ("other/x", tarfile.REGTYPE)]
    assert f"'other' {said}" in refusal(write_tar(tmp_path / "a.tar", *entries, link=target))


@pytest.mark.parametrize(
    ("mode", "said"), [(0o120777, "is a link"), (0o010644, "is a device or a pipe")]
)
def test_what_is_no_file_in_a_zip_is_refused(tmp_path: Path, mode: int, said: str) -> None:
    def change(entry: zipfile.ZipInfo) -> None:
        entry.external_attr = mode << 16

    archive = write_zip(tmp_path / "a.zip", "config.json", "other", change=change)
    assert f"'other' {said}" in refusal(archive)


def test_an_encrypted_entry_is_refused(tmp_path: Path) -> None:
    def change(entry: zipfile.ZipInfo) -> None:
        entry.flag_bits |= 1

    assert "'secret' is encrypted" in refusal(
        write_zip(tmp_path / "a.zip", "secret", change=change)
    )


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_entries_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = write_zip(tmp_path / "a.zip", "config.json", "./config.json", change=nothing)
    assert "has two entries './config.json'" in refusal(twice)


def test_an_archive_that_would_not_fit_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    def change(entry: zipfile.ZipInfo) -> None:
        entry.file_size = 2**50

    said = refusal(write_zip(tmp_path / "a.zip", "config.json", "huge", change=change))
    assert "its 2 files take 1125899.91 GB unpacked" in said


def test_files_without_bytes_take_room_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = [(f"{number}", tarfile.REGTYPE) for number in range(1000)]
    archive = write_tar(tmp_path / "a.tar", *entries)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    assert "its 1000 files take 0.00 GB unpacked" in refusal(archive)


def test_an_entry_that_is_larger_than_it_says_is_not_written_beyond_that(tmp_path: Path) -> None:
    def change(entry: zipfile.ZipInfo) -> None:
        entry.file_size = 10

    archive = write_zip(tmp_path / "a.zip", "bomb", change=change)
    with pytest.raises(UserError, match="cannot be unpacked"):
        unpack(archive, tmp_path / "unpacked", "path:own")
    assert (tmp_path / "unpacked/bomb").stat().st_size <= 10


@pytest.mark.parametrize("packing", FORMATS)
def test_an_archive_that_is_cut_is_refused(model: Path, tmp_path: Path, packing: str) -> None:
    (model / "model.safetensors").write_bytes(bytes(range(256)) * 100)
    archive = Path(shutil.make_archive(str(tmp_path / "own"), packing, model))
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    with pytest.raises(UserError, match=r"own.*: cannot be unpacked .*fetch it again"):
        staged(archive, tmp_path / "staged")
    assert not (tmp_path / "staged").exists() and not list(tmp_path.glob(".staged*"))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
@pytest.mark.parametrize("content", [b"", b"<html>not found</html>"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert "cannot be unpacked" in refusal(tmp_path / name)


def test_an_archive_without_files_is_refused(tmp_path: Path) -> None:
    assert "has no files in it" in refusal(write_tar(tmp_path / "a.tar", ("a", tarfile.DIRTYPE)))


# Prompts


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    """A folder of prompt files of three kinds, and one that is none."""
    folder = tmp_path / "packed" / "prompts"
    (folder / "more").mkdir(parents=True)
    (folder / "a.jsonl").write_text('{"prompt": "Name a river."}\n{"prompt": "Name a lake."}\n')
    (folder / "more/b.json").write_text(json.dumps([{"prompt": "Why does it rain?"}]))
    (folder / "more/c.csv").write_text("prompt\nHow is bread made?\n")
    (folder / "README.md").write_text("About these prompts.")
    return folder


def ingested(tmp_path: Path, *files: Path) -> list[dict[str, object]]:
    output = tmp_path / "prompts.parquet"
    ingest_prompts(PromptSettings(files=[str(file) for file in files]), output)
    rows: list[dict[str, object]] = read_table(output, PROMPTS).to_pylist()
    return rows


@pytest.mark.parametrize("packing", FORMATS)
def test_packed_prompt_files_are_the_same_prompts(
    prompts: Path, tmp_path: Path, packing: str, caplog: pytest.LogCaptureFixture
) -> None:
    plain = [prompts / name for name in ("a.jsonl", "more/b.json", "more/c.csv")]
    archive = Path(shutil.make_archive(str(tmp_path / "own"), packing, prompts.parent))
    with caplog.at_level(logging.WARNING):
        rows = ingested(tmp_path, archive)
    assert rows == ingested(tmp_path, *plain)
    assert {row["source"] for row in rows} == {"a.jsonl", "b.json", "c.csv"}
    assert f"{archive}: left out: prompts/README.md" in caplog.text


def test_packed_prompts_are_unpacked_only_while_they_are_read(
    prompts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "zip", prompts))
    assert len(ingested(tmp_path, archive)) == 4
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("inside", ["a folder", "the files"])
def test_a_packed_folder_saved_by_datasets_is_read(tmp_path: Path, inside: str) -> None:
    import datasets

    saved = tmp_path / "packed" / "saved"
    rows = [{"prompt": "Name a river."}, {"prompt": "Name a lake."}]
    datasets.Dataset.from_list(rows).save_to_disk(saved)
    root = saved.parent if inside == "a folder" else saved
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "gztar", root))
    found = ingested(tmp_path, archive)
    assert len(found) == 2
    source = "saved" if inside == "a folder" else archive.name
    assert {row["source"] for row in found} == {source}


def test_a_row_in_an_archive_is_named_by_archive_file_and_line(
    prompts: Path, tmp_path: Path
) -> None:
    (prompts / "more/d.jsonl").write_text('{"prompt": "Fine."}\n{"prompt": 3}\n')
    archive = Path(shutil.make_archive(str(tmp_path / "own"), "zip", prompts))
    with pytest.raises(UserError) as refused:
        ingested(tmp_path, archive)
    assert str(refused.value).startswith(f"{archive}/more/d.jsonl:2: column 'prompt'")


def test_an_archive_without_prompt_files_is_refused_with_what_is_in_it(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "own.zip", "notes.txt", change=nothing)
    with pytest.raises(UserError, match=r"own\.zip: found notes\.txt in it; write an archive"):
        ingested(tmp_path, archive)


def test_a_hostile_archive_of_prompts_is_refused(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "own.zip", "../prompts.jsonl", change=nothing)
    with pytest.raises(UserError, match=r"prompts\.files: .*own\.zip: its entry .* leads out"):
        ingested(tmp_path, archive)
