"""What a bundle takes: files of the working directory, links followed, and nothing of elsewhere."""

import os
from pathlib import Path

import pytest

from wim.bundling.contents import Bundled, check_places, files_below
from wim.bundling.wheels import made_for, requirements
from wim.errors import UserError
from wim.models.manifest import write_manifest
from wim.plan.reasons import Job


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory beside a workflow's folder and a file elsewhere."""
    for name in ("clone", "here", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "clone/Snakefile").touch()
    (tmp_path / "elsewhere/prompts.jsonl").write_text("{}")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def bundled(here: Path) -> Bundled:
    return Bundled(here.parent / "clone", here)


def test_files_have_places_by_the_folder_that_they_are_in(here: Path) -> None:
    found = bundled(here)
    (here / "mine.yaml").touch()
    (here / "link.jsonl").symlink_to(here.parent / "elsewhere/prompts.jsonl")
    found.add(Path("mine.yaml"), "")
    found.add(Path("link.jsonl"), "")
    found.add_project()
    assert set(found.files) == {"run/mine.yaml", "run/link.jsonl", "Snakefile"}
    inside = Bundled(here.parent, here)
    inside.add(Path("mine.yaml"), "")
    assert (inside.run, set(inside.files)) == ("here", {"here/mine.yaml"})


def test_a_file_of_elsewhere_is_refused_with_what_to_do(here: Path) -> None:
    with pytest.raises(UserError, match=r"prompts: .*/elsewhere/prompts.jsonl is not in the work"):
        bundled(here).add(Path("../elsewhere/prompts.jsonl"), "prompts")


@pytest.mark.parametrize("absolute", [True, False])
def test_a_path_that_is_none_on_another_machine_is_refused_by_its_key(
    here: Path, absolute: bool
) -> None:
    path = str(here.parent / "elsewhere") if absolute else "../elsewhere"
    said = (
        rf"models\.judge\.source: found 'path:{path}'.*\(ln -s {path} elsewhere\).*path:elsewhere"
    )
    with pytest.raises(UserError, match=said):
        check_places({"models": {"judge": {"source": f"path:{path}"}}}, here)
    with pytest.raises(UserError, match=r"prompts\.files: found"):
        check_places({"prompts": {"files": [f"{path}/prompts.jsonl"]}}, here)


def test_places_of_a_machine_and_texts_that_only_look_like_paths_are_left_alone(here: Path) -> None:
    serve = "/usr/bin/env vllm"
    check_places({"store": str(here.parent), "models": {"a": {"serve": serve}}, "limit": 3}, here)
    check_places(
        {"dialogues": {"system": "/nowhere at all", "topics": ["/", "~", "..", "..."]}}, here
    )


def test_links_to_folders_are_followed_and_circles_and_dead_ends_are_errors(here: Path) -> None:
    (here / "model").symlink_to(here.parent / "elsewhere")
    (here.parent / "elsewhere/.hidden").touch()
    assert [path.name for path in files_below(here)] == ["prompts.jsonl"]
    (here.parent / "elsewhere/again").symlink_to(here)
    with pytest.raises(UserError, match="again: a link that leads to no file"):
        list(files_below(here))
    (here.parent / "elsewhere/again").unlink()
    (here.parent / "elsewhere/dead").symlink_to(here / "none")
    with pytest.raises(UserError, match="dead: a link that leads to no file"):
        list(files_below(here))


def test_a_staged_model_is_checked_against_its_manifest_and_may_be_a_link(here: Path) -> None:
    model = here.parent / "elsewhere/model"
    model.mkdir()
    (model / "config.json").write_text("{}")
    write_manifest(model, "path:model")
    (here / "results/models").mkdir(parents=True)
    (here / "results/models/judge").symlink_to(model)
    path = "results/models/judge/manifest.json"
    job = Job("stage_model", {}, "", [], [path], None)
    found = bundled(here)
    found.add_staged([job])
    assert set(found.files) == {f"run/{path}", "run/results/models/judge/config.json"}
    (model / "config.json").write_text("[]")
    with pytest.raises(UserError, match=r"config\.json: its SHA-256 is"):
        bundled(here).add_staged([job])


def test_the_glibc_that_is_needed_is_that_of_the_most_demanding_wheel() -> None:
    names = (
        "a-1-py3-none-any.whl",
        "b-1-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "c-1-cp311-cp311-manylinux_2_27_x86_64.manylinux_2_28_x86_64.whl",
    )
    assert made_for(map(Path, names))["glibc"] == "2.27"
    here = os.confstr("CS_GNU_LIBC_VERSION") or ""
    assert made_for([Path("d-1-cp311-cp311-linux_x86_64.whl")])["glibc"] == here.split()[-1]
    assert made_for([Path(names[0])])["glibc"] == ""


def test_an_unknown_extra_is_refused_with_the_names_that_there_are(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[build-system]\nrequires = ["setuptools>=77"]\n[project]\ndependencies = ["torch"]\n'
        '[project.optional-dependencies]\ncomet = ["comet-ml"]\n'
    )
    assert requirements(tmp_path, ["comet"]) == ["torch", "comet-ml", "setuptools>=77", "pip"]
    with pytest.raises(UserError, match=r"--extra: found 'komet'; write one .*: comet\."):
        requirements(tmp_path, ["komet"])
