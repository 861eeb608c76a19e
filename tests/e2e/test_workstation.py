"""A machine with several GPUs and no scheduler: no two shards compute on one of them."""

from pathlib import Path

import pytest

from support.workflow_runs import Project, tiny_config


def gpus_of_shards(project: Project) -> list[str]:
    """What the jobs of all shards said of the GPUs they took."""
    logs = sorted((project.folder / "logs/generate_dialogues").rglob("*.log"))
    return [
        line.split("wim.cluster.gpus: ")[1]
        for log in logs
        for line in log.read_text().splitlines()
        if "wim.cluster.gpus" in line
    ]


@pytest.mark.parametrize("profile", [["--profile", "profiles/workstation"], []])
def test_shards_that_run_side_by_side_are_on_gpus_of_their_own(
    tiny_model: Path,
    minilm: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: list[str],
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    config = tiny_config(
        *(tiny_model, minilm, 4),
        shards=2,
        rewards={"wim": {"judge": "tiny", "zeta": 0.5}},
        arms={"wim": {"reward": "wim"}},
    )
    project = Project.copied(tmp_path / "project", config, ["One?", "Two?", "Three?", "Four?"])
    project.run(*profile, "--cores", "2", "--", "dialogues")
    assert sorted(gpus_of_shards(project)) == ["GPU 2 of 2, 5", "GPU 5 of 2, 5"]
