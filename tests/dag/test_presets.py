"""Presets: each plans its jobs from an empty folder, with what it asks of a cluster."""

import subprocess
from pathlib import Path

import pytest
import yaml

from support.workflow_runs import REPOSITORY, SNAKEMAKE, forked_environment, job_counts
from wim.dag.comparisons import Comparisons
from wim.dag.inputs import Inputs
from wim.settings.config import Config
from wim.settings.evaluated import speakers_of
from wim.settings.load import load_config

PRESETS = sorted(path.stem for path in (REPOSITORY / "config/presets").glob("*.yaml"))
PUBLISHED = [name for name in PRESETS if not name.startswith("demo-")]
PER_SHARD = (
    "generate_dialogues",
    "rate_candidates",
    "rate_by_label",
    "compare_candidates",
    "embed_critiques",
)


def preset(name: str) -> Config:
    """The configuration that a preset is."""
    path = REPOSITORY / "config/presets" / f"{name}.yaml"
    return load_config(yaml.safe_load(path.read_text(encoding="utf-8")), str(path))


def dry_run(folder: Path, name: str, profile: Path | None) -> str:
    """What snakemake says it would do, in an empty folder."""
    command = [SNAKEMAKE, "--snakefile", REPOSITORY / "Snakefile", "--directory", folder, "-n"]
    command += ["--configfile", REPOSITORY / "config/presets" / f"{name}.yaml"]
    if profile:
        command += ["--profile", REPOSITORY / "profiles/slurm", "--workflow-profile", profile]
    done = subprocess.run(
        [*map(str, command)], env=forked_environment(), capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    return output


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_plans_all_its_jobs_without_models_or_prompts_on_disk(
    tmp_path: Path, name: str
) -> None:
    config = preset(name)
    profile = REPOSITORY / "profiles/presets" / name if name in PUBLISHED else None
    shown = dry_run(tmp_path, name, profile)
    jobs = job_counts(shown)
    generating = Inputs(config, REPOSITORY).generating_speakers
    rating = config.consulted_judges
    labels = [name for name in rating if config.judges[name].label is not None]
    judged = [
        judge
        for name, each in config.evaluations.items()
        for reward in (each.rewards if each.of_rewards else [])
        for judge in config.judges_of(reward)
        for _ in speakers_of(config, name)
    ]
    of_words = [name for name in rating if name not in labels]
    counts = [
        1 + len(config.policies) + len(generating),
        len([name for name in [*rating, *judged] if name not in labels]),
        len([name for name in [*rating, *judged] if name in labels]),
        len(config.comparisons) + len(Comparisons(Inputs(config, REPOSITORY)).of_evaluations),
        len(of_words),
    ]
    wanted = {
        rule: config.prompts.shards * n for rule, n in zip(PER_SHARD, counts, strict=True) if n
    }
    assert {rule: jobs[rule] for rule in PER_SHARD if rule in jobs} == wanted
    actor = config.dialogues.actor
    speakers = {config.origin_of(name) for name in (actor, config.dialogues.second or actor)}
    compared = {name for name, judge in config.judges.items() if not judge.rates}
    judges = {config.judges[name].model for name in {*rating, *compared}}
    policies = {config.origin_of(policy.model) for policy in config.policies.values()}
    encoder = {config.embeddings.encoder} if of_words else set()
    assert jobs["stage_model"] == len(speakers | policies | judges | encoder)
    own = [each.own_prompts(key) for key, each in config.evaluations.items()]
    files = [source for each in (config.prompts, *own) if each for source in each.files]
    on_hub = {source for source in files if source.startswith("hf:")}
    assert jobs.get("stage_prompts", 0) == len(on_hub)
    assert jobs["train_dpo"] == len(config.arms)
    assert jobs.get("train_sft", 0) == len(config.sft)
    if profile is None:
        return
    asked = yaml.safe_load((profile / "profile.yaml").read_text())["set-resources"]
    for rule in (*wanted, "train_dpo", *["train_sft"] * bool(config.sft)):
        block = shown.split(f"rule {rule}:")[1].split("resources: ")[1].splitlines()[0]
        resources = dict(part.split("=", 1) for part in block.split(", ") if "=" in part)
        for key in ("mem_mb", "runtime"):
            first_attempt = eval(str(asked[rule][key]), {"attempt": 1})
            assert resources[key] == str(first_attempt)
        assert resources["gpu"] == str(asked[rule]["gpu"])
        assert resources.get("slurm_extra"), "the cluster's warning before the time is up"


def test_presets_have_the_published_hyperparameters() -> None:
    wim = preset("what-is-missing")
    assert wim.rewards[wim.arms["wim"].reward].zeta == 1.0
    training = wim.arm_training("wim")
    assert (training.beta, training.learning_rate, training.epochs) == (0.1, 5e-7, 3)
    assert (training.batch_size, training.scheduler, training.warmup) == (64, "linear", 0)
    assert training.lora is not None and (training.lora.rank, training.lora.alpha) == (16, 16)
    assert wim.judges["reference"].model == wim.dialogues.actor

    tldr = preset("what-is-missing-tldr")
    assert "Qwen3-4B-Instruct-2507" in tldr.models[tldr.dialogues.actor].source
    assert tldr.arm_training("wim") == training

    chat = preset("expertchat")
    assert "Llama-3-8B" in chat.models[chat.dialogues.actor].source
    assert "Mixtral-8x7B" in chat.models[chat.dialogues.second or ""].source

    critical = preset("critical-evaluation")
    for arm in critical.arms:
        assert (critical.arm_training(arm).beta, critical.arm_training(arm).epochs) == (0.05, 3)
    assert critical.models["gpt4"].engine == "endpoint"
    between = {
        arm: critical.comparisons[each.comparison or ""].between
        for arm, each in critical.arms.items()
    }
    assert between == {"feedback": ["gpt4", "weak"], "strong_feedback": ["gpt4", "base"]}
    tenth, all_of_it = critical.sft["tenth"], critical.sft["all"]
    assert (tenth.prompts, tenth.epochs, all_of_it.prompts, all_of_it.epochs) == (0.1, 9, 1.0, 6)
    assert tenth.completions == all_of_it.completions == "gpt4"
    assert critical.start_of("strong_feedback") == "tenth"
    assert critical.start_of("feedback") == "weak10"
    weak = [each.prompts for each in critical.sft.values() if each.completions == "references"]
    assert weak == [0.05, 0.1, 0.25, 0.5, 1.0]

    imdb = preset("imdb-frontier")
    betas = {imdb.arm_training(arm).beta for arm in imdb.arms}
    assert betas == {0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0}
    one = imdb.arm_training(next(iter(imdb.arms)))
    assert (one.learning_rate, one.epochs, one.lora) == (5e-5, 3, None)
    sampling = imdb.dialogues.sampling
    assert (sampling.temperature, sampling.max_new_tokens) == (1.0, 60)

    summaries = preset("tldr-evaluation")
    drawn = summaries.policy_dialogues("human@tldr-lrml").sampling
    assert (drawn.temperature, drawn.max_new_tokens) == (0.7, 256)
    assert summaries.evaluations["human"].reference == "references"
