"""The workflow as its user types it: real rules, real Snakemake, a small model."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import REPOSITORY, SNAKEMAKE, forked_environment, job_counts

DEMO_JOBS = {
    "ingest_prompts": 1,
    "shard_prompts": 1,
    "stage_model": 2,
    "generate_dialogues": 2,
    "rate_candidates": 2,
    "embed_critiques": 2,
    "score_candidates": 1,
    "pair_candidates": 1,
    "train_dpo": 1,
}


def run(
    directory: Path, *arguments: str, config: Path | None = None, forked: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run snakemake in a working directory; the profile of the repository applies.

    forked: by the fork server. Else as its user does, with all imports.
    """
    command = [str(SNAKEMAKE), "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--directory", str(directory)]
    command += ["--workflow-profile", str(REPOSITORY / "profiles/default")]
    command += ["--configfile", str(config), "--"] if config else ["--"]
    flags = [each for each in arguments if each.startswith("-")]
    targets = [each for each in arguments if not each.startswith("-")]
    return subprocess.run(
        [*command[:-1], *flags, "--", *targets],
        env=forked_environment() if forked else None,
        capture_output=True,
        text=True,
        check=False,
    )


def planned(
    directory: Path, *targets: str, config: Path | None = None, forked: bool = True
) -> dict[str, int]:
    """The jobs that a dry run shows, by rule, without the target rules."""
    result = run(directory, "-n", *targets, config=config, forked=forked)
    assert result.returncode == 0, result.stdout + result.stderr
    return job_counts(result.stdout + result.stderr)


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, tiny_model: Path, minilm: Path
) -> tuple[Path, Path]:
    """A finished run on a tiny model: its directory and its configuration."""
    directory = tmp_path_factory.mktemp("run")
    config = directory / "tiny.yaml"
    settings = {
        "models": {
            "tiny": {"source": f"path:{tiny_model}", "dtype": "float32"},
            "minilm": {"source": f"path:{minilm}"},
        },
        "prompts": {"limit": 12, "shards": 2},
        "dialogues": {"actor": "tiny", "sampling": {"max_new_tokens": 24}},
        "judges": {
            "tiny": {"model": "tiny", "sampling": {"max_new_tokens": 24, "temperature": 1.0}}
        },
        "rewards": {
            "wim": {"judge": "tiny", "zeta": 1.0},
            "numeric": {"judge": "tiny", "zeta": 0.0, "rating": "rating_expected"},
            "mixed": {"judge": "tiny", "zeta": 0.4},
        },
        "arms": {"wim": {"reward": "numeric", "training": {"batch_size": 4, "epochs": 2}}},
    }
    config.write_text(json.dumps(settings))
    result = run(directory, config=config)
    assert result.returncode == 0, result.stdout + result.stderr
    return directory, config


def test_a_first_dry_run_shows_every_job(tmp_path: Path) -> None:
    assert planned(tmp_path, "dpo_checkpoint", forked=False) == DEMO_JOBS


def test_a_dry_run_imports_neither_torch_nor_transformers(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from snakemake.cli import main\n"
        "try:\n"
        f"    main(['-n', '--snakefile', {str(REPOSITORY / 'Snakefile')!r},"
        f" '--directory', {str(tmp_path)!r}, 'dpo_checkpoint'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "heavy = {'torch', 'transformers', 'trl', 'sentence_transformers'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr


def test_afterwards_nothing_is_to_be_done(demo: tuple[Path, Path]) -> None:
    directory, config = demo
    result = run(directory, "-n", config=config)
    assert "Nothing to be done" in result.stdout + result.stderr


@pytest.mark.parametrize("target", ["dialogues", "ratings", "rewards", "pairs", "all"])
def test_each_target_can_be_named(demo: tuple[Path, Path], target: str) -> None:
    directory, config = demo
    assert planned(directory, target, config=config) == {}


def test_the_slurm_profile_plans_the_same_jobs(tmp_path: Path) -> None:
    command = [SNAKEMAKE, "--snakefile", REPOSITORY / "Snakefile", "--directory", tmp_path]
    command += ["--profile", REPOSITORY / "profiles/slurm", "-n", "dpo_checkpoint"]
    result = subprocess.run(
        command, env=forked_environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert job_counts(result.stdout + result.stderr) == DEMO_JOBS


def test_the_checkpoint_opens_without_this_project(
    demo: tuple[Path, Path], tiny_model: Path
) -> None:
    directory, _ = demo
    checkpoint = directory / "results/checkpoints/wim/round1"
    script = (
        "import sys\n"
        "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1])\n"
        "tokenizer = AutoTokenizer.from_pretrained(sys.argv[1])\n"
        "prompt = tokenizer.apply_chat_template([{'role': 'user', 'content': 'Hello'}],"
        " add_generation_prompt=True, return_tensors='pt', return_dict=True)\n"
        "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=4)[0]))\n"
        "base = AutoModelForCausalLM.from_pretrained(sys.argv[2]).state_dict()\n"
        "changed = [name for name, value in model.state_dict().items()"
        " if not value.equal(base[name].to(value.dtype))]\n"
        "assert changed, 'the weights are those of the base model'\n"
        "assert 'wim' not in sys.modules\n"
    )
    command = [sys.executable, "-c", script, str(checkpoint), str(tiny_model)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "Hello" in result.stdout
    for name in ("README.md", "metrics.jsonl", "trainer_state.json", "provenance.json"):
        assert (checkpoint / name).stat().st_size
    assert (checkpoint / "adapter/adapter_model.safetensors").is_file()


def test_every_pair_prefers_the_higher_score(demo: tuple[Path, Path]) -> None:
    directory, _ = demo
    pairs = pd.read_parquet(directory / "results/pairs/wim/round1.parquet")
    assert len(pairs)
    assert (pairs["score_chosen"] > pairs["score_rejected"]).all()
    assert (pairs["margin"] > 0).all()


def test_other_libraries_open_every_table(demo: tuple[Path, Path]) -> None:
    from datasets import load_dataset

    directory, _ = demo
    tables = sorted((directory / "results").rglob("*.parquet"))
    assert {path.relative_to(directory / "results").parts[0] for path in tables} == {
        *("prompts", "dialogues", "ratings", "embeddings", "rewards", "pairs")
    }
    for path in tables:
        rows = load_dataset("parquet", data_files=str(path), split="train", cache_dir=directory)
        assert len(rows) == len(pd.read_parquet(path)), path


def test_trl_takes_the_pairs_as_they_are(demo: tuple[Path, Path], tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import DPOConfig, DPOTrainer

    directory, _ = demo
    pairs = directory / "results/pairs/wim/round1.parquet"
    trainer = DPOTrainer(
        model=str(directory / "results/models/tiny"),
        args=DPOConfig(output_dir=str(tmp_path), max_steps=1, bf16=False, report_to="none"),
        train_dataset=load_dataset(
            "parquet", data_files=str(pairs), split="train", cache_dir=tmp_path
        ),
    )
    assert trainer.train().global_step == 1


def test_every_candidate_is_traceable_to_the_words_of_its_judge(demo: tuple[Path, Path]) -> None:
    directory, _ = demo
    results = directory / "results"
    pairs = pd.read_parquet(results / "pairs/wim/round1.parquet")
    ratings = pd.concat(map(pd.read_parquet, (results / "ratings/base/tiny").glob("*.parquet")))
    words = ratings.set_index("candidate_id")
    for side in ("chosen_id", "rejected_id"):
        assert words.loc[pairs[side], "status"].isin(["ok", "nothing_missing"]).all()
        assert words.loc[pairs[side], "raw"].str.len().gt(0).all()
    rewards = pd.read_parquet(results / "rewards/base/numeric.parquet")
    unusable = rewards[~rewards["status"].isin(["ok", "nothing_missing"])]
    assert unusable["reward"].isna().all()
    counts = json.loads((results / "pairs/wim/round1.exclusions.json").read_text())
    causes = Counter(unusable["status"])
    for status, count in causes.items():
        assert counts["excluded"][f"candidates with status {status}"] == count


def test_a_failed_job_names_its_log_and_writes_nothing(
    demo: tuple[Path, Path], tmp_path: Path
) -> None:
    _, config = demo
    settings = json.loads(config.read_text())
    settings["models"]["minilm"]["sha256"] = "0" * 64
    other = tmp_path / "wrong.yaml"
    other.write_text(json.dumps(settings))
    result = run(tmp_path, "rewards", config=other)
    output = result.stdout + result.stderr
    assert result.returncode == 1
    assert "0" * 64 in output
    assert "logs/stage_model/minilm.log" in output
    assert "Traceback" not in output
    assert not (tmp_path / "results/models/minilm").exists()


@pytest.mark.parametrize(
    ("settings", "prompts", "parts"),
    [
        ({"dialogs": {}}, "", ["dialogs", "did you mean 'dialogues'?"]),
        ({"prompts": {"shards": 0}}, "", ["prompts.shards", "found 0", "1 to 99999"]),
        (
            {"rewards": {"wim": {"judge": "smollm2", "zeta": 2}}},
            "",
            ["rewards.wim.zeta", "found 2"],
        ),
        ({"judges": {"one": {"templates": "x"}}}, "", ["judges.one.model"]),
        ({"seed": "x"}, "", ["seed", "'x'"]),
        ({"prompts": {"files": ["none.jsonl"]}}, "", ["prompts.files", "none.jsonl"]),
        ({"prompts": {"files": ["{a}.jsonl"]}}, "", ["prompts.files", "{a}.jsonl", "rename"]),
        ({}, '{"prompt": "One."}\n{"prompt"\n', ["prompts.jsonl:2", "not JSON"]),
        ({}, b'{"prompt": "\xff"}\n', ["prompts.jsonl", "UTF-8"]),
    ],
)
def test_bad_input_ends_with_exit_1_and_a_message_that_names_it(
    tmp_path: Path, settings: dict[str, object], prompts: str | bytes, parts: list[str]
) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_bytes(prompts if isinstance(prompts, bytes) else prompts.encode())
    config = tmp_path / "mine.yaml"
    config.write_text(json.dumps({"prompts": {"files": ["prompts.jsonl"]}, **settings}))
    result = run(tmp_path, "results/prompts/prompts.parquet", config=config)
    output = result.stdout + result.stderr
    assert result.returncode == 1, output
    assert "Traceback" not in output
    for part in parts:
        assert part in output
    assert not (tmp_path / "results/prompts/prompts.parquet").exists()


def test_braces_in_texts_are_no_wildcards(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"{text}": "Name a {thing} of {wood}."}\n')
    config = tmp_path / "mine.yaml"
    settings = {
        "prompts": {"files": ["mine.jsonl"], "column": "{text}", "eval_fraction": 0},
        "dialogues": {"system": "You are {name}."},
        "judges": {"one": {"model": "smollm2", "nothing_missing": "{none}"}},
        "rewards": {"wim": {"judge": "one", "zeta": 1.0}},
    }
    config.write_text(json.dumps(settings))
    assert planned(tmp_path, "all", config=config) == {
        **DEMO_JOBS,
        "audit_critiques": 1,
        "summary": 1,
        "page": 1,
    }
    result = run(tmp_path, "results/prompts/prompts.parquet", config=config)
    assert result.returncode == 0, result.stdout + result.stderr
    prompts = pd.read_parquet(tmp_path / "results/prompts/prompts.parquet")
    assert prompts["messages"][0][0]["content"] == "Name a {thing} of {wood}."
