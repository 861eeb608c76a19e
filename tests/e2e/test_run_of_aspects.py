"""A judge that rates several aspects in one text, from the judge to pairs, page and exports."""

import json
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.workflow_runs import Project, jobs_done, rows_computed

PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?"]
ROWS = 2 * len(PROMPTS)
ASPECTS = ["helpfulness", "honesty", "truthfulness"]


def answer(fields: Fields, before: int) -> Reply:
    """As a server of a judge that leaves honesty out of what it says of every other answer."""
    text = last_message(fields)
    if "one of these" in text:
        return said(str(8 if "helpfulness" in text else 3))
    if "What does the answer lack" in text:
        words = f"helpfulness: No date, in {fields['seed'] % 9}.\ntruthfulness: No source for it."
        lacking = sum(text.encode()) % 2
        return said(words if lacking else f"{words}\nhonesty: It hides what it does not know.")
    return said("The answer names no date and no place for it.")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer(answer) as server:
        yield server


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, server: ApiServer, tiny_model: Path, minilm: Path
) -> Iterator[tuple[Project, str]]:
    """A project whose judge rates three aspects twice, run to its pairs, page and exports."""
    drawn = {"max_new_tokens": 200, "temperature": 1.0}
    config = {
        "models": {
            "far": {
                "source": "endpoint:far-1@2026-01",
                "api": {"url": server.url, "key_env": "FAR_KEY", "samples": 1, "attempts": 2},
            },
            "encoder": {"source": f"path:{minilm}"},
            "tiny": {"source": f"path:{tiny_model}"},
        },
        "prompts": {"files": ["prompts.jsonl"], "shards": 2, "eval_fraction": 0.0},
        "dialogues": {
            "actor": "tiny",
            "sampling": {"max_new_tokens": 16, "temperature": 1.0},
            "candidates": 2,
        },
        "judges": {
            "far": {"model": "far", "aspects": ASPECTS, "samples": 2, "sampling": drawn},
            "plain": {"model": "far", "sampling": drawn, "samples": 2},
        },
        "embeddings": {"encoder": "encoder"},
        "rewards": {
            "all": {"judge": "far", "zeta": 0.0, "rating": "rating_expected"},
            "two": {"judge": "far", "zeta": 0.0, "least_aspects": 2},
            "honest": {"judge": "far", "zeta": 0.0, "aspect": "honesty"},
            "panel": {"kind": "panel", "of": ["all", "honest"]},
        },
        "arms": {"two": {"reward": "two", "pairs": {"ties": "random"}}},
    }
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FAR_KEY", "a-key")
        project = Project.copied(tmp_path_factory.mktemp("aspects") / "project", config, PROMPTS)
        output = project.run("--", "rewards", "pairs", "results/report/page.html")
        yield project, output


def table(project: Project, pattern: str) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, sorted(project.folder.glob(f"results/{pattern}"))))


def test_a_shard_is_judged_by_one_job_with_a_table_of_aspects(
    finished: tuple[Project, str],
) -> None:
    project, output = finished
    assert jobs_done(output)["rate_aspects"] == 2
    aspects = table(project, "aspects/base/far/*.parquet")
    assert len(aspects) == ROWS * 2 * len(ASPECTS)
    said = aspects.groupby("aspect")
    assert set(said.get_group("helpfulness")["status"]) == {"ok"}
    assert set(said.get_group("honesty")["status"]) == {"ok", "unparsable"}
    failed = aspects[aspects["status"] != "ok"]
    assert failed[["rating", "rating_expected", "wim"]].isna().all(axis=None)
    assert set(said.get_group("helpfulness")["rating"]) == {8}
    assert set(said.get_group("truthfulness")["rating"]) == {3}


def test_the_ratings_are_whole_judgements_with_the_raw_text(finished: tuple[Project, str]) -> None:
    project, _ = finished
    for name in ("far", "far~2"):
        ratings = table(project, f"ratings/base/{name}/*.parquet")
        assert len(ratings) == ROWS
        assert (ratings["rating_expected"].notna() == (ratings["status"] == "ok")).all()
        assert ratings["raw"].str.startswith("helpfulness: No date").all()


def test_a_reward_is_the_mean_over_enough_aspects_or_of_one_by_name(
    finished: tuple[Project, str],
) -> None:
    project, _ = finished
    rewards = {
        name: table(project, f"rewards/base/{name}.parquet").set_index("candidate_id")
        for name in ("all", "two", "honest", "panel")
    }
    aspects = table(project, "aspects/base/far/*.parquet")
    lacking = set(aspects[aspects["status"] != "ok"]["candidate_id"])
    assert 0 < len(lacking) < ROWS
    for candidate, row in rewards["two"].iterrows():
        high, low = (2 * 8 - 11) / 9, (2 * 3 - 11) / 9
        usable = [high, low] if candidate in lacking else [high, low, low]
        assert row["reward"] == pytest.approx(sum(usable) / len(usable))
        members = {each["member"]: each["reward"] for each in row["members"]}
        assert set(members) == {f"{name}~{n}" for name in ASPECTS for n in (1, 2)}
        assert pd.isna(members["honesty~1"]) == (candidate in lacking)
        without = candidate in lacking
        assert pd.isna(rewards["all"].loc[candidate, "reward"]) == without
        assert pd.isna(rewards["honest"].loc[candidate, "reward"]) == without
        assert (rewards["honest"].loc[candidate, "status"] == "unparsable") == without


def test_the_page_and_the_exports_have_every_sample_and_aspect(
    finished: tuple[Project, str],
) -> None:
    project, _ = finished
    project.run("--", "results/report/exports/two/round1")
    folder = project.folder / "results/report/exports/two/round1"
    rows = [json.loads(line) for line in (folder / "jsonl/ratings_train.jsonl").open()]
    by_far = [row for row in rows if row["judge"] == "far"]
    assert len(by_far) == ROWS * 2 * (1 + len(ASPECTS))
    assert {(row["sample"], row["aspect"]) for row in by_far} == {
        (sample, aspect) for sample in (1, 2) for aspect in (None, *ASPECTS)
    }
    exported = pd.read_parquet(folder / "dataset/ratings/train.parquet")
    assert exported["aspect"].dropna().isin(ASPECTS).all()
    assert len(exported) == len(rows)


def test_nothing_runs_again_and_the_order_of_aspects_changes_nothing(
    finished: tuple[Project, str], tmp_path: Path
) -> None:
    project, _ = finished
    assert project.planned("--", "rewards", "pairs") == {}
    again = project.again(tmp_path / "again")
    again.set("judges.far.aspects", ASPECTS[::-1])
    assert again.planned("--", "rewards", "pairs") == {}
    # The first sample is that of a judge with one.
    again.set("judges.far.samples", 1)
    again.set("rewards", {"all": {"judge": "far", "zeta": 0.0}})
    again.set("arms", {})
    assert rows_computed(again.run("--", "rewards"))["judged"] == 0


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("rewards.all.aspect", "wit", "rewards.all.aspect: found 'wit'; judges.far.aspects are"),
        (
            "rewards.all.least_aspects",
            4,
            "rewards.all.least_aspects: found 4, and judges.far has 3",
        ),
        ("rewards.all.zeta", 0.5, "rewards.all.zeta: found 0.5, and the words of judges.far"),
        ("rewards.all.judge", "plain", None),
        ("rewards.two.judge", "plain", "rewards.two.least_aspects: found 2, and judges.plain has"),
        ("rewards.all.kind", "nothing_missing", "found 'nothing_missing', and judges.far rates"),
    ],
)
def test_settings_that_do_not_go_with_aspects_are_refused(
    finished: tuple[Project, str], tmp_path: Path, key: str, value: object, told: str | None
) -> None:
    project = finished[0].again(tmp_path / "project")
    project.set(key, value)
    if key.endswith("kind"):
        project.set("rewards.all", {"judge": "far", "kind": value})
        project.set("rewards.panel.of", ["two", "honest"])
    output = project.run("-n", "--", "rewards", status=0 if told is None else 1)
    assert told is None or told in output
