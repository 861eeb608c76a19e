"""A discovery over recorded proposals: planned, run, killed and resumed."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from support.started import killed_when
from support.workflow_runs import Project, jobs_done, tiny_config
from wim.own_loss.formula import LOG_PROBABILITIES

PROMPTS = [f"Say something about the number {number}." for number in range(10)]
RHO = (
    "    rho = (policy_chosen_logps - reference_chosen_logps)"
    " - (policy_rejected_logps - reference_rejected_logps)\n"
)
FOLDER = "results/experiments/discovery"


def answer(name: str, returned: str, before: str = "") -> str:
    code = f"{before}def {name}({', '.join(LOG_PROBABILITIES)}, beta):\n{RHO}    return {returned}"
    return json.dumps({"thought": f"Why {name}.", "name": name, "code": code})


ANSWERS = [
    answer("stolen", "rho", before="import os\nos.system('touch pwned')\n"),
    answer("logistic", "-F.logsigmoid(beta * rho)"),
    answer("shapeless", "(rho * beta).mean()"),
    answer("squared", "(beta * rho - 1) ** 2"),
    answer("undefined_far_out", "-beta * rho * torch.log(99 - torch.abs(rho))"),
    answer("hinge", "F.relu(1 - beta * rho)"),
]


def discovery_config(model: Path, encoder: Path, **discovery: Any) -> dict[str, object]:
    config = tiny_config(
        *(model, encoder),
        rewards={"brief": {"kind": "brevity"}},
        arms={"a": {"reward": "brief"}},
        training={"batch_size": 4, "precision": "float32", "learning_rate": 1e-3},
        discovery={
            "arm": "a",
            "proposer": {"file": "proposals.jsonl"},
            "generations": 3,
            "baselines": [],
            **discovery,
        },
    )
    config["prompts"]["eval_fraction"] = 0.4  # type: ignore[index]
    return config


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path) -> Project:
    """A project whose pairs are made."""
    made = Project.copied(
        tmp_path_factory.mktemp("discovery") / "project",
        discovery_config(tiny_model, minilm),
        PROMPTS,
    )
    (made.folder / "proposals.jsonl").write_text("\n".join(ANSWERS))
    plan = made.planned("--", "discovery")
    chain = ("propose_loss", "check_loss", "train_discovered", "evaluate_discovered")
    assert {rule: plan[rule] for rule in chain} == dict.fromkeys(chain, 3)
    assert plan["archive_losses"] == 4 and plan["discovery"] == 1
    assert "train_dpo" not in plan and "take_baseline" not in plan
    made.run("--", "pairs")
    return made


@pytest.fixture(scope="module")
def discovered(begun: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A finished discovery."""
    project = begun.again(tmp_path_factory.mktemp("discovered") / "project")
    done = jobs_done(project.run("--", "discovery"))
    assert done["train_discovered"] == 3
    return project


def archive(project: Project, without: tuple[str, ...] = ()) -> pd.DataFrame:
    """The archive; `without`: columns that are times."""
    table = pd.read_parquet(project.folder / FOLDER / "archive/3.parquet")
    return table.drop(columns=list(without))


def test_the_archive_has_every_proposal_with_what_became_of_it(discovered: Project) -> None:
    rows = archive(discovered)
    assert list(rows["name"]) == [json.loads(each)["name"] for each in ANSWERS]
    assert list(rows["status"]) == ["invalid", "tried"] * 3
    assert list(rows["generation"]) == [1, 1, 2, 2, 3, 3]
    reasons = [rows["reason"][place] for place in (0, 2, 4)]
    assert reasons[0].startswith("line 1: found `import os`; nothing is imported")
    assert reasons[1].startswith("shapeless: found the shape () for 10 pairs")
    assert "nan at a difference of log-ratios of" in reasons[2] and "100" in reasons[2]
    tried = rows[rows["status"] == "tried"]
    assert tried["fitness"].between(0, 1).all() and (tried["standard_error"] > 0).all()
    assert (tried["seconds"] > 0).all() and tried["digest"].nunique() == 3
    assert pd.isna(rows["parent"][1]) and rows["parent"][3] == rows["digest"][1]
    assert not (discovered.folder / "pwned").exists()
    trained = sorted((discovered.folder / FOLDER).glob("generation*/checkpoint/model.safetensors"))
    assert len(trained) == 3
    cards = {path.with_name("README.md").read_text() for path in trained}
    assert len(cards) == 3


def test_the_report_names_the_best_and_draws_it(discovered: Project) -> None:
    page = (discovered.folder / FOLDER / "discovery.md").read_text()
    assert "3 losses were trained with" in page and "3 proposals were not valid" in page
    assert "The best is **" in page and "```python" in page
    found = json.loads((discovered.folder / FOLDER / "discovery.json").read_text())
    assert len(found["losses"]) == 6 and set(found["shapes"]) == {
        f"generation{n}" for n in (1, 2, 3)
    }
    assert found["shapes"]["generation1"]["slope"] == pytest.approx(-0.05, abs=1e-4)
    assert (discovered.folder / FOLDER / "discovery.svg").stat().st_size > 10_000
    assert discovered.planned("--", "discovery") == {}


@pytest.mark.slow
def test_a_discovery_that_is_killed_in_its_middle_comes_to_the_same(
    begun: Project, discovered: Project, tmp_path: Path
) -> None:
    project = begun.again(tmp_path / "project")
    second = project.folder / FOLDER / "generation2/check.json"
    killed_when(project, second.exists, ("--", "discovery"))
    assert not (project.folder / FOLDER / "archive/3.parquet").exists()
    done = jobs_done(project.run("--", "discovery"))
    assert done["train_discovered"] == 2, "the first generation stays as it is"
    times = ("seconds",)
    pd.testing.assert_frame_equal(archive(project, times), archive(discovered, times))
    for path in (discovered.folder / FOLDER).glob("generation*/checkpoint/model.safetensors"):
        again = project.folder / path.relative_to(discovered.folder)
        assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_equal_code_is_not_trained_twice_and_no_valid_proposal_is_no_crash(
    begun: Project, tmp_path: Path
) -> None:
    project = begun.again(tmp_path / "project")
    project.set("discovery.baselines", ["slic"])
    project.set("discovery.generations", 2)
    project.set("discovery.attempts", 3)
    same = answer("another_name", "torch.relu(1 - beta * rho)")
    (project.folder / "proposals.jsonl").write_text("\n".join([same, "Sorry.", "{}"]))
    done = jobs_done(project.run("--", "discovery"))
    assert done["take_baseline"] == 1 and done["train_discovered"] == 3
    rows = pd.read_parquet(project.folder / FOLDER / "archive/2.parquet")
    assert list(rows["status"]) == ["baseline", "invalid", "invalid", "invalid"]
    assert rows["reason"][1].startswith("the same formula as slic, which was tried before, with")
    assert rows["reason"][2].startswith("found no JSON object; answer with one JSON object")
    told = json.loads((project.folder / FOLDER / "generation1/outcome.json").read_text())
    assert not told["trained"] and told["reason"] == "none of 3 proposals was valid"
    assert "1 losses were trained with" in (project.folder / FOLDER / "discovery.md").read_text()


def test_without_a_discovery_the_target_says_what_to_write(begun: Project, tmp_path: Path) -> None:
    project = begun.again(tmp_path / "project")
    config = project.config
    del config["discovery"]
    project.configure(config)
    told = project.run("--", "discovery", status=1)
    assert "config: discovery: missing; write discovery: {arm: <name>" in told


@pytest.mark.slow
def test_the_fitness_is_a_figure_of_an_evaluation(begun: Project, tmp_path: Path) -> None:
    project = begun.again(tmp_path / "project")
    project.set("evaluations", {"held": {"kind": "reward", "speakers": ["base"]}})
    fitness = {"evaluation": "held", "figure": "brief", "direction": "max"}
    for key, value in (("fitness", fitness), ("baselines", ["slic"]), ("generations", 1)):
        project.set(f"discovery.{key}", value)
    done = jobs_done(project.run("--", "discovery"))
    assert done["compare_discovered"] == 2 and done["evaluate_discovered"] == 2
    answers = {path.name for path in (project.folder / "results/dialogues").iterdir()}
    speakers = {"held@discovered-slic", "held@discovered-generation1"}
    assert answers == {"base", "held@base", *speakers}
    rows = pd.read_parquet(project.folder / FOLDER / "archive/1.parquet")
    tried = rows[rows["fitness"].notna()]
    assert list(tried["candidate"]) == ["slic", "generation1"]
    figures = json.loads((project.folder / FOLDER / "slic/evaluation.json").read_text())
    mean = figures["rewards"]["brief"]["discovered-slic"]["mean"]
    assert tried["fitness"].iloc[0] == mean["value"] < 0
    half = (mean["high"] - mean["low"]) / 2
    assert tried["standard_error"].iloc[0] == pytest.approx(half / 1.96, rel=1e-3)
    assert project.planned("--", "discovery") == {}


@pytest.mark.slow
def test_the_fitness_is_the_area_under_the_frontier(begun: Project, tmp_path: Path) -> None:
    project = begun.again(tmp_path / "project")
    frontier = {"kind": "frontier", "speakers": ["base"], "rewards": ["brief"], "kl_limit": 2.0}
    project.set("evaluations", {"held": frontier})
    fitness = {"evaluation": "held", "figure": "area", "direction": "max"}
    for key, value in (("fitness", fitness), ("baselines", ["slic"]), ("generations", 1)):
        project.set(f"discovery.{key}", value)
    done = jobs_done(project.run("--", "discovery"))
    assert done["measure_kl"] == done["compare_discovered"] == 2
    rows = pd.read_parquet(project.folder / FOLDER / "archive/1.parquet")
    tried = rows[rows["fitness"].notna()]
    assert list(tried["candidate"]) == ["slic", "generation1"]
    figures = json.loads((project.folder / FOLDER / "slic/evaluation.json").read_text())
    (curve,) = figures["frontier"]["brief"]["curves"].values()
    assert curve["points"]["discovered-slic"]["kl"] > 0
    assert tried["fitness"].iloc[0] == curve["area"]["value"] >= 0
    assert project.planned("--", "discovery") == {}


def test_a_discovery_of_many_generations_is_planned_as_one_chain(
    begun: Project, tmp_path: Path
) -> None:
    project = begun.again(tmp_path / "project")
    project.set("discovery.generations", 150)
    plan = project.planned("--", "discovery")
    chain = ("propose_loss", "check_loss", "train_discovered", "evaluate_discovered")
    assert {rule: plan[rule] for rule in chain} == dict.fromkeys(chain, 150)
    assert plan["archive_losses"] == 151 and plan["discovery"] == 1


@pytest.mark.slow
def test_a_small_model_as_proposer_is_counted_and_ends_within_its_attempts(
    begun: Project, smollm2: Path, tmp_path: Path
) -> None:
    project = begun.again(tmp_path / "project")
    project.set("models.small", {"source": f"path:{smollm2}", "dtype": "float32"})
    project.set("discovery.proposer", {"model": "small"})
    project.set("discovery.sampling", {"max_new_tokens": 96, "temperature": 1.0, "top_k": 0})
    for key, value in (("generations", 2), ("attempts", 2), ("baselines", ["slic"])):
        project.set(f"discovery.{key}", value)
    done = jobs_done(project.run("--", "discovery"))
    assert done["propose_loss"] == done["archive_losses"] - 1 == 2
    rows = pd.read_parquet(project.folder / FOLDER / "archive/2.parquet")
    proposed = rows[rows["generation"] > 0]
    assert proposed.groupby("generation").size().between(1, 2).all()
    invalid = proposed[proposed["status"] == "invalid"]
    assert (invalid["reason"].str.len() > 0).all() and (proposed["answer"].str.len() > 0).all()
    assert rows["fitness"].notna().sum() == 1 + (proposed["status"] == "tried").sum()
    page = (project.folder / FOLDER / "discovery.md").read_text()
    assert len(invalid) == 0 or f"{len(invalid)} proposals were not valid" in page
    assert project.planned("--", "discovery") == {}
