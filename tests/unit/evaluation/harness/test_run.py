"""Running lm-eval: what it is asked for, and what becomes of a child that fails."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from wim.errors import UserError
from wim.evaluation.harness.environment import run_python
from wim.evaluation.harness.run import Measuring, configuration, run_harness
from wim.evaluation.harness.stage import stage_harness
from wim.models.manifest import write_manifest

WRITTEN = Path(__file__).with_name("written")


def asked(measuring: Measuring, gpus: int = 0) -> dict[str, object]:
    return configuration(Path("/models/a,b"), measuring, 16, "float32", gpus, Path("/out"))


def test_code_of_models_data_and_answers_is_never_run() -> None:
    wanted = asked(Measuring(["arc_easy"]))
    assert wanted["trust_remote_code"] is False
    assert wanted["confirm_run_unsafe_code"] is False


def test_what_is_not_set_is_left_to_each_task() -> None:
    wanted = asked(Measuring(["arc_easy"]))
    assert not {"num_fewshot", "limit", "apply_chat_template", "system_instruction"} & set(wanted)
    wanted = asked(Measuring(["arc_easy"], num_fewshot=0, limit=3, chat_template=True, system="Hi"))
    assert (wanted["num_fewshot"], wanted["limit"]) == (0, 3)
    assert (wanted["apply_chat_template"], wanted["system_instruction"]) == (True, "Hi")


def test_a_model_over_several_gpus_is_spread_and_one_without_runs_on_the_cpu() -> None:
    assert asked(Measuring(["a"]))["device"] == "cpu"
    one, two = asked(Measuring(["a"]), 1), asked(Measuring(["a"]), 2)
    assert one["device"] == "cuda" and one["model_args"] == {
        "pretrained": "/models/a,b",
        "dtype": "float32",
    }
    assert two["model_args"]["parallelize"] is True  # type: ignore[index]


def stand_in(folder: Path, code: str) -> str:
    """A program in the place of lm-eval's Python, which gets what that would get."""
    program = folder / "python"
    program.write_text(f"#!{sys.executable}\nimport json, os, shutil, sys\n{code}")
    program.chmod(0o755)
    return str(program)


def test_a_child_that_fails_is_told_with_the_last_lines_of_its_log(tmp_path: Path) -> None:
    python = stand_in(tmp_path, "print('one'); sys.exit('ValueError: no such data')")
    with pytest.raises(
        UserError, match=r"exit status 1; its log: .*\n  one\n  ValueError: no such"
    ):
        run_python(python, ["-m", "lm_eval"], tmp_path / "log.txt", online=False)


def test_an_environment_without_lm_eval_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="make harness-environment"):
        run_python(
            sys.executable, ["-m", "lm_eval_is_not_here"], tmp_path / "log.txt", online=False
        )
    with pytest.raises(UserError, match="make harness-environment"):
        run_python(str(tmp_path / "none"), [], tmp_path / "log.txt", online=False)


@pytest.mark.parametrize(("online", "said"), [(True, "0"), (False, "1")])
def test_only_staging_may_query_the_hub(
    tmp_path: Path, online: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wim.fetch.hub.USER_OFFLINE", "")
    # As jobs have it.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    python = stand_in(
        tmp_path, "print(os.environ['HF_HUB_OFFLINE'], os.environ['HF_DATASETS_OFFLINE'])"
    )
    run_python(python, [], tmp_path / "log.txt", online=online)
    assert (tmp_path / "log.txt").read_text() == f"{said} {said}\n"


def test_an_unknown_task_is_named_with_those_that_are_near(tmp_path: Path) -> None:
    unknown = {"unknown": {"arc_eazy": ["arc_easy"], "zzz": []}}
    python = stand_in(tmp_path, f"open(sys.argv[4], 'w').write({json.dumps(json.dumps(unknown))})")
    with pytest.raises(UserError, match=r"no task 'arc_eazy'; did you mean arc_easy\?\n.*'zzz'"):
        stage_harness(["arc_eazy", "zzz"], python, tmp_path / "log.txt", tmp_path / "tasks.json")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The manifest of a model, beside the tasks of an evaluation."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write_manifest(folder, "path:model")
    (tmp_path / "tasks.json").write_text("{}")
    return folder / "manifest.json"


def run(model: Path, python: str, name: str = "one", limit: int | None = None) -> None:
    folder = model.parents[1]
    run_harness(
        manifest=model,
        tasks=folder / "tasks.json",
        measuring=Measuring(["colours", "copies"], dtype="float32", limit=limit),
        python=python,
        batch_size=4,
        scratch=None,
        log=folder / "log.txt",
        output=SimpleNamespace(
            results=str(folder / f"{name}.json"), scores=str(folder / f"{name}.parquet")
        ),
    )


READ = "wanted = json.load(open(sys.argv[-1]))\n"
WRITE = f"shutil.copytree({str(WRITTEN)!r}, wanted['output_path'] + '/a__b')\n"


def test_results_are_read_and_hold_neither_times_nor_places(tmp_path: Path, model: Path) -> None:
    python = stand_in(tmp_path, READ + WRITE)
    run(model, python, "one")
    run(model, python, "two")
    for suffix in ("json", "parquet"):
        one, two = ((tmp_path / f"{name}.{suffix}").read_bytes() for name in ("one", "two"))
        assert one == two
    found = json.loads((tmp_path / "one.json").read_text())
    assert set(found) == {"model", "dtype", "versions", "tasks"}
    assert found["versions"]["lm_eval"] == "0.4.13"


def test_a_run_that_was_stopped_has_its_answers_the_next_time_unless_it_asks_for_others(
    tmp_path: Path, model: Path
) -> None:
    # lm-eval keeps answers in a file whose name begins so.
    kept = "kept = wanted['use_cache'] + '_rank0.db'\nprint(os.path.exists(kept))\n"
    stops = (
        READ
        + kept
        + (
            "os.makedirs(os.path.dirname(kept), exist_ok=True)\nopen(kept, 'w').write('x')\nsys.exit(1)\n"
        )
    )
    for limit, known in ((None, "False"), (None, "True"), (3, "False")):
        with pytest.raises(UserError, match="exit status 1"):
            run(model, stand_in(tmp_path, stops), limit=limit)
        assert (tmp_path / "log.txt").read_text() == f"{known}\n"
    run(model, stand_in(tmp_path, READ + kept + WRITE))
    assert (tmp_path / "log.txt").read_text() == "True\n"
    assert not (tmp_path / "one.answers").exists()


def test_a_run_that_writes_nothing_is_an_error_though_it_ends_well(tmp_path: Path) -> None:
    from wim.evaluation.harness.results import results_files

    with pytest.raises(UserError, match="wrote 0 files of results"):
        results_files(tmp_path)
