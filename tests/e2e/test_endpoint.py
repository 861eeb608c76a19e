"""A judge and an actor behind an API, in the workflow as its user runs it."""

import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.api_server import ApiServer, Fields, Reply, failed, last_message, said
from support.started import killed_when
from support.workflow_runs import Project, jobs_done, rows_computed

KEY = "sk-very-secret-0123456789"
PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]
ROWS = 2 * len(PROMPTS)
JUDGED = ["ratings", "embeddings"]


def answer(fields: Fields, before: int) -> Reply:
    """As a server of an actor and judge, that knows no log-probabilities."""
    text = last_message(fields)
    if "one of these" in text:
        return said(str(1 + fields["seed"] % 10))
    if "What is missing from the answer?" in text:
        return said(f"The answer of {len(text)} characters names no date and no place for it.")
    return said(f"Answer {fields['seed']} to: {text}")


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer(answer) as server:
        yield server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAR_KEY", KEY)


def settings(server: ApiServer, minilm: Path) -> dict[str, object]:
    far = {"url": server.url, "key_env": "FAR_KEY", "samples": 3, "attempts": 2}
    return {
        "models": {
            "far": {"source": "endpoint:far-1@2026-01", "api": far},
            "encoder": {"source": f"path:{minilm}"},
        },
        "prompts": {"files": ["prompts.jsonl"], "shards": 1, "eval_fraction": 0.0},
        "dialogues": {"actor": "far", "sampling": {"max_new_tokens": 16}},
        "judges": {"far": {"model": "far"}},
        "embeddings": {"encoder": "encoder"},
        "rewards": {"mixed": {"judge": "far", "zeta": 0.5, "rating": "rating_expected"}},
        "arms": {},
    }


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, server: ApiServer, minilm: Path
) -> Iterator[Project]:
    """A project whose actor and judge are behind an API, run to its summary."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("FAR_KEY", KEY)
        folder = tmp_path_factory.mktemp("far") / "project"
        project = Project.copied(folder, settings(server, minilm), PROMPTS)
        project.run("--cores", "2")
        yield project


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    return finished.again(tmp_path / "project")


def ratings(project: Project) -> pd.DataFrame:
    return pd.read_parquet(project.folder / "results/ratings/base/far/000.parquet")


def test_every_row_has_its_own_answer_number_and_reward(finished: Project) -> None:
    dialogues = pd.read_parquet(finished.folder / "results/dialogues/base/000.parquet")
    assert len(dialogues) == ROWS
    assert dialogues["completion"].nunique() == ROWS
    for row in dialogues.itertuples():
        assert row.completion.endswith(f"to: {row.context[0]['content']}")
        assert row.completion.startswith(f"Answer {row.seed % 2**31} ")
    rated = ratings(finished)
    assert set(rated["rating_source"]) == {"samples"}
    assert rated["nothing_missing_logprob"].isna().all()
    assert rated["rating_expected"].between(1, 10).all()
    rewards = pd.read_parquet(finished.folder / "results/rewards/base/mixed.parquet")
    assert len(rewards) == ROWS
    assert rewards["reward"].notna().all()


def test_the_manifest_says_what_is_asked_and_not_where(
    finished: Project, server: ApiServer
) -> None:
    folder = finished.folder / "results/models/far"
    assert json.loads((folder / "endpoint.json").read_text()) == {
        "name": "far-1",
        "revision": "2026-01",
        "request": {},
    }
    manifest = json.loads((folder / "manifest.json").read_text())
    assert (manifest["source"], manifest["revision"]) == ("endpoint:far-1@2026-01", "2026-01")
    assert server.url not in "".join(path.read_text() for path in folder.iterdir())


def test_the_key_is_in_nothing_that_a_run_has_written(finished: Project) -> None:
    found = [
        path
        for path in finished.folder.rglob("*")
        if path.is_file() and not path.is_symlink() and KEY.encode() in path.read_bytes()
    ]
    assert found == []
    assert (finished.folder / ".snakemake").is_dir()


def test_where_and_how_fast_the_api_is_asked_runs_nothing_again(project: Project) -> None:
    project.set("models.far.api.url", "https://elsewhere.example/v1")
    project.set("models.far.api.key_env", "OTHER_KEY")
    project.set("models.far.api.requests_in_flight", 2)
    project.set("models.far.api.tokens_per_minute", 1000)
    project.set("models.far.api.timeout", 7)
    assert project.planned() == {}


def test_fields_of_the_requests_are_another_model(project: Project) -> None:
    project.set("models.far.api.request", {"reasoning_effort": "low"})
    planned = project.planned()
    assert (
        planned["stage_model"] == planned["generate_dialogues"] == planned["rate_candidates"] == 1
    )


def test_the_number_of_samples_asks_for_the_numbers_alone_again(
    project: Project, server: ApiServer
) -> None:
    project.set("models.far.api.samples", 2)
    before = len(server.asked)
    output = project.run("--", "ratings")
    assert jobs_done(output) == {"rate_candidates": 1}
    asked = server.asked[before:]
    assert asked and all("one of these" in last_message(fields) for fields in asked)


def test_rows_in_the_store_need_no_server_and_no_key(
    project: Project, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ratings(project)
    (project.folder / "results/ratings/base/far/000.parquet").unlink()
    monkeypatch.delenv("FAR_KEY")
    before = len(server.asked)
    output = project.run("--", "ratings")
    assert rows_computed(output)["judged"] == 0
    assert len(server.asked) == before
    pd.testing.assert_frame_equal(ratings(project), first)


def wim(project: Project, *arguments: str) -> str:
    """The output of a `wim` command in the project's folder, with the project's own code."""
    result = project.call([sys.executable, "-m", "wim.cli", *arguments])
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_an_accepted_edit_of_what_is_asked_leaves_answers_known(
    project: Project, server: ApiServer
) -> None:
    project.append("workflow/wim/engines/remote/chat.py", "\n\nEDITED = True\n")
    said = wim(project, "accept", "generate_dialogues", "rate_candidates")
    assert said.count("stored rows: before") == 2
    (project.folder / "results/ratings/base/far/000.parquet").unlink()
    before = len(server.asked)
    assert rows_computed(project.run("--", "ratings"))["judged"] == 0
    assert len(server.asked) == before


def test_a_plan_counts_what_is_known_of_an_api_without_asking_it(
    project: Project, server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAR_KEY")
    project.append("config/templates/structured/critique.jinja", "Be brief.")
    before = len(server.asked)
    said = wim(project, "plan", "--", "ratings")
    assert f"wanted {ROWS}, known 0, to compute {ROWS}" in said
    assert len(server.asked) == before


def test_the_costs_are_the_tokens_that_the_server_counted_and_their_price(
    project: Project,
) -> None:
    with ApiServer(answer) as server:
        project.set("models.far.api.url", server.url)
        project.append("config/templates/structured/critique.jinja", "Be brief.")
        (project.folder / "logs/rate_candidates/base/far/000.server.usage.jsonl").unlink()
        project.set("prices", {"far": {"input": 1e6, "output": 0}})
        planned = wim(project, "plan", "--", "ratings")
        project.run("--", "ratings")
        responses = len(server.asked)
    spent = f"| `rate_candidates` | `far` | {ROWS} | {responses} | {11 * responses} |"
    assert f"{spent} 0 | {5 * responses} | 0 | {11 * responses}.0000 |" in wim(project, "costs")
    assert f"api   far: {ROWS} rows, estimate " in planned
    assert "at most, of rows of results/prompts/prompts.parquet and max_new_tokens" in planned
    project.append("config/templates/structured/critique.jinja", "Be short.")
    again = wim(project, "plan", "--", "ratings")
    assert f"estimate {11 * responses} prompt and {5 * responses} answer tokens, " in again
    assert f"as {ROWS} rows before" in again


def test_rows_of_the_store_cost_nothing(project: Project) -> None:
    before = wim(project, "costs").partition("## Tokens")[2]
    (project.folder / "results/ratings/base/far/000.parquet").unlink()
    project.run("--", "ratings")
    assert wim(project, "costs").partition("## Tokens")[2] == before


def test_a_plan_of_a_new_project_estimates_what_its_api_will_cost(
    tmp_path: Path, server: ApiServer, minilm: Path
) -> None:
    project = Project.copied(tmp_path / "project", settings(server, minilm), PROMPTS)
    project.set("prices", {"far": {"input": 2.5, "output": 10}})
    said = wim(project, "plan", "--", "ratings")
    assert f"far: {ROWS} rows, estimate " in said.partition("generate_dialogues: ")[2]
    assert f"far: {ROWS} rows, estimate " in said.partition("rate_candidates: ")[2]
    assert "at most, of rows of prompts.jsonl and max_new_tokens" in said
    assert "APIs in all: estimate " in said and "by `prices`" in said


def run_to_failure(project: Project, *arguments: str) -> str:
    output = project.run("--cores", "1", *arguments, status=1)
    assert "Traceback" not in output
    return output


def everything_written(project: Project) -> bytes:
    return b"".join(
        path.read_bytes()
        for path in project.folder.rglob("*")
        if path.is_file() and path.suffix != ".safetensors"
    )


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (failed(401, f"Incorrect API key: {KEY}"), ["refused the key", "FAR_KEY"]),
        (failed(404, f"no model far-1 for {KEY}"), ["knows no model 'far-1'"]),
        (
            failed(400, f"bad request by {KEY}"),
            [
                "completions: all 8 rows failed: 8 status 400; the first: status 400: bad request by [key]"
            ],
        ),
    ],
)
def test_a_failed_job_names_its_cause_and_its_log_and_not_the_key(
    reply, words, tmp_path: Path, minilm: Path
) -> None:
    with ApiServer(lambda *_: reply) as server:
        project = Project.copied(tmp_path / "project", settings(server, minilm), PROMPTS)
        output = run_to_failure(project, "--", "dialogues")
    for word in [*words, "logs/generate_dialogues/base/000.log"]:
        assert word in output
    assert KEY not in output
    assert KEY.encode() not in everything_written(project)
    assert not (project.folder / "results/dialogues").exists() or not list(
        (project.folder / "results/dialogues").rglob("*.parquet")
    )


def test_a_key_that_is_not_there_is_asked_for_by_its_name(
    tmp_path: Path, server: ApiServer, minilm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAR_KEY")
    project = Project.copied(tmp_path / "project", settings(server, minilm), PROMPTS)
    output = run_to_failure(project, "--", "dialogues")
    assert "models.far.api.key_env: the environment variable FAR_KEY is not set" in output


def test_a_signal_ends_a_job_that_waits_and_what_was_answered_is_stored(
    tmp_path: Path, minilm: Path
) -> None:
    waiting = threading.Event()

    def slow(fields: Fields, before: int) -> Reply:
        if "rain" in last_message(fields):
            waiting.set()
            return Reply(silent=True)
        return answer(fields, before)

    with ApiServer(slow) as server:
        values = settings(server, minilm)
        values["models"]["far"]["api"] |= {"requests_in_flight": 1, "timeout": 600}  # type: ignore[index]
        project = Project.copied(tmp_path / "project", values, PROMPTS)
        output = killed_when(
            project, waiting.is_set, ["--cores", "1", "--", "dialogues"], signal.SIGTERM
        )
        answered = len(server.asked) - 1
    assert "what is done is kept" in output
    with ApiServer(answer) as server:
        project.set("models.far.api.url", server.url)
        output = project.run("--", "dialogues")
    assert rows_computed(output)["generated"] == ROWS - answered
