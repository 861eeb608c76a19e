"""Saved states of a training: whole ones are found, damaged ones are named and passed over."""

import json
import logging
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import pytest

from support.preference_training import settings_of, trained
from wim.training.saved_states import last_saved, put_state_in_place

SHORT = {"batch_size": 4, "precision": "float32", "warmup": 0.0}
ADAPTER = "adapter_model.safetensors"


def saved(working: Path, step: int) -> Path:
    """A state of two files, in place."""
    written = working / ".saving" / f"checkpoint-{step}"
    (written / "shares").mkdir(parents=True)
    (written / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    (written / "shares/0.bin").write_bytes(bytes([step]) * 1000)
    put_state_in_place(written, working)
    return working / f"checkpoint-{step}"


def flip(file: Path) -> None:
    """Flip one bit in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 4
    file.write_bytes(content)


def cut(file: Path) -> None:
    """Leave the first half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_the_newest_two_states_are_kept(tmp_path: Path) -> None:
    for step in (2, 9, 10):
        assert last_saved(tmp_path) != saved(tmp_path, step)
        assert last_saved(tmp_path) == tmp_path / f"checkpoint-{step}"
    assert sorted(path.name for path in tmp_path.glob("checkpoint-*")) == [
        "checkpoint-10",
        "checkpoint-9",
    ]


def test_a_state_that_was_not_written_to_its_end_is_none(tmp_path: Path) -> None:
    whole = saved(tmp_path, 1)
    (tmp_path / ".saving-node-7/checkpoint-3").mkdir(parents=True)
    shutil.copytree(whole, tmp_path / "checkpoint-2")
    (tmp_path / "checkpoint-2/complete").unlink()
    assert last_saved(tmp_path) == whole


@pytest.mark.parametrize(
    ("file", "damage", "told"),
    [
        ("shares/0.bin", flip, "shares/0.bin: its SHA-256"),
        ("shares/0.bin", cut, "shares/0.bin: its SHA-256"),
        ("shares/0.bin", Path.unlink, "shares/0.bin: missing"),
        ("trainer_state.json", lambda file: file.write_text(""), "trainer_state.json: its SHA-256"),
        ("complete", cut, "Unterminated string"),
        ("complete", lambda file: file.write_text("[]"), "complete: not a list of files"),
        ("complete", lambda file: file.write_text(""), "Expecting value"),
    ],
)
def test_of_a_damaged_state_the_folder_is_named_and_the_one_before_is_taken(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    file: str,
    damage: Callable[[Path], Any],
    told: str,
) -> None:
    before, damaged = saved(tmp_path, 1), saved(tmp_path, 2)
    damage(damaged / file)
    assert last_saved(tmp_path) == before
    assert f"{damaged}: this saved state is damaged ({told}" in caplog.text
    flip(before / "shares/0.bin")
    assert last_saved(tmp_path) is None
    assert f"{before}: this saved state is damaged" in caplog.text


def test_no_flipped_bit_of_a_state_goes_unnoticed(tmp_path: Path) -> None:
    before, state = saved(tmp_path, 1), saved(tmp_path, 2)
    choice = random.Random(0)
    files = sorted(path for path in state.rglob("*") if path.is_file())
    for _ in range(50):
        file = choice.choice(files)
        content = file.read_bytes()
        flipped = bytearray(content)
        flipped[choice.randrange(len(content))] ^= 1 << choice.randrange(8)
        file.write_bytes(flipped)
        assert last_saved(tmp_path) == before, (file, flipped)
        file.write_bytes(content)
        assert last_saved(tmp_path) == state


def test_a_state_replaces_a_damaged_one_of_its_step_and_of_later_steps(tmp_path: Path) -> None:
    for step in (3, 4):
        cut(saved(tmp_path, step) / "shares/0.bin")
    state = saved(tmp_path, 3)
    assert last_saved(tmp_path) == state
    assert not (tmp_path / "checkpoint-4").exists()


def test_a_state_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised = []

    def noted(path: Path) -> None:
        synchronised.append((path.name, (tmp_path / "checkpoint-1").exists()))

    monkeypatch.setattr("wim.training.saved_states.synchronise", noted)
    saved(tmp_path, 1)
    before = {name for name, in_place in synchronised if not in_place}
    assert before == {"0.bin", "shares", "trainer_state.json", "complete", "checkpoint-1"}
    assert synchronised[-1] == (tmp_path.name, True)


def test_two_that_save_the_same_step_both_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = saved(tmp_path, 1)
    monkeypatch.setattr("wim.training.saved_states.shutil.rmtree", lambda *_, **__: None)
    again = tmp_path / ".saving-other/checkpoint-1"
    again.mkdir(parents=True)
    put_state_in_place(again, tmp_path)
    assert last_saved(tmp_path) == state


@pytest.fixture(scope="module")
def undisturbed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of four steps."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return trained(tiny_model, folder, settings_of("sigmoid", epochs=2, **SHORT))


def killed_after(step: int, tiny_model: Path, folder: Path) -> Path:
    """The working folder of a training that was killed when it had saved a step."""
    from wim.training.run.callbacks import Resumable

    on_save = Resumable.on_save

    def killed(self: Resumable, args: Any, state: Any, control: Any, **more: Any) -> None:
        on_save(self, args, state, control, **more)
        if state.global_step == step:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Resumable, "on_save", killed)
        trained(tiny_model, folder, settings_of("sigmoid", epochs=2, **SHORT), save_seconds=0)
    (working,) = (path for path in (folder / "store/train_dpo").iterdir() if path.is_dir())
    return working


def content(folder: Path) -> dict[str, bytes]:
    """The bytes of every file that does not name the folder of the base model, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    found = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    for name in ("adapter/README.md", "adapter/adapter_config.json", "manifest.json"):
        del found[name]
    return found


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_training_whose_last_state_is_damaged_resumes_from_the_one_before(
    tiny_model: Path,
    tmp_path: Path,
    undisturbed: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    working = killed_after(3, tiny_model, tmp_path)
    damage(working / "checkpoint-3" / ADAPTER)
    caplog.set_level(logging.INFO, "wim")
    checkpoint = trained(tiny_model, tmp_path, settings_of("sigmoid", epochs=2, **SHORT))
    assert f"{working / 'checkpoint-3'}: this saved state is damaged ({ADAPTER}" in caplog.text
    assert "resuming from checkpoint-2" in caplog.text
    assert content(checkpoint) == content(undisturbed)
    assert not working.exists()


def test_a_state_that_cannot_be_loaded_is_named_and_without_it_the_training_resumes(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    working = killed_after(2, tiny_model, tmp_path)
    state = working / "checkpoint-2"
    flawed = working / ".saving/checkpoint-2"
    shutil.copytree(state, flawed)
    (flawed / "optimizer.pt").write_text("of another version")
    put_state_in_place(flawed, working)
    with pytest.raises(UnpicklingError):
        trained(tiny_model, tmp_path, settings_of("sigmoid", epochs=2, **SHORT))
    assert f"cannot be resumed from {state}; delete it" in caplog.text
    shutil.rmtree(state)
    caplog.set_level(logging.INFO, "wim")
    assert trained(tiny_model, tmp_path, settings_of("sigmoid", epochs=2, **SHORT)).exists()
    assert "resuming from checkpoint-1" in caplog.text


def test_who_waited_for_the_same_training_makes_its_checkpoint_without_a_step(
    tiny_model: Path,
    tmp_path: Path,
    undisturbed: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from wim.cluster.locks import Turn

    caplog.set_level(logging.DEBUG, "wim")
    settings = settings_of("sigmoid", epochs=2, **SHORT)
    with monkeypatch.context() as patched:
        patched.setattr(Turn, "is_awaited", lambda _: True)
        checkpoint = trained(tiny_model, tmp_path, settings)
    assert content(checkpoint) == content(undisturbed)
    caplog.clear()
    checkpoint.rename(tmp_path / "first")
    second = trained(tiny_model, tmp_path, settings)
    assert "resuming from checkpoint-4" in caplog.text
    assert "step 4 of 4" not in caplog.text
    assert content(second) == content(undisturbed)
    assert not [path for path in (tmp_path / "store/train_dpo").iterdir() if path.is_dir()]


def test_a_working_folder_that_is_removed_is_never_there_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its states rely on other files of it."""
    from wim.training.run import training

    working = tmp_path / "training"
    saved(working, 1)
    with monkeypatch.context() as patched:
        patched.setattr(training.shutil, "rmtree", lambda *_, **__: None)
        training._discard(working)
    assert not working.exists()
    training._discard(working)
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_state_under_another_name_is_left_alone(tmp_path: Path) -> None:
    state = saved(tmp_path, 10)
    copy = shutil.copytree(state, tmp_path / "checkpoint-10.bak")
    assert last_saved(tmp_path) == state
    assert last_saved(tmp_path) != saved(tmp_path, 20)
    assert copy.is_dir()


def test_a_mark_that_names_no_file_is_none(tmp_path: Path) -> None:
    before, state = saved(tmp_path, 1), saved(tmp_path, 2)
    (state / "complete").write_text("{}")
    assert last_saved(tmp_path) == before
