"""`wim size` sizes the stages of a configuration, or of a model that is told."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from wim.cli import main
from wim.sizing.architecture import KNOWN
from wim.sizing.folders import model_of_folder
from wim.sizing.memory import weights_bytes

LLAMA = next(model for model in KNOWN if model.name == "Llama-3-8B-Instruct")
PROMPTS = ["Name a river.", "How is bread made?", "Why does it rain?", "Who wrote the answer?"]

# The stages of the embedded default, which has no topics, comparisons or further trainings.
SIZED = ["generate_dialogues", "rate_candidates", "embed_critiques", "train_dpo"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the weights of a small Llama that shares its embeddings."""
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = {"hidden_size": 32, "intermediate_size": 64, "vocab_size": 128}
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    config = LlamaConfig(**shape, **heads, tie_word_embeddings=True)
    folder = tmp_path_factory.mktemp("small")
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def test_a_staged_model_is_known_by_its_own_files(small: Path) -> None:
    model = model_of_folder(small, "small")
    attention, mlp = 2 * 32 * 32 + 2 * 32 * 16, 3 * 32 * 64
    assert model.parameters == 128 * 32 + 2 * (attention + mlp + 2 * 32) + 32
    assert model.tied and model.gated
    assert model.file_dtype == "float32"


@pytest.fixture
def project(tmp_path: Path, small: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with four prompts, and a configuration of which only one model is there."""
    config = {
        "models": {
            "actor": {"source": f"path:{small}"},
            "judge": {"source": "hf:meta-llama/Meta-Llama-3-8B-Instruct@main"},
        },
        "prompts": {"files": ["prompts.jsonl"], "shards": 2},
        "dialogues": {"actor": "actor", "candidates": 3, "sampling": {"max_new_tokens": 100}},
        "judges": {"big": {"model": "judge"}},
        "rewards": {"wim": {"judge": "big", "zeta": 1.0}},
        "pairs": {"select": "all"},
    }
    (tmp_path / "config").mkdir()
    (tmp_path / "config/config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    lines = [json.dumps({"prompt": text}) for text in PROMPTS]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sized(capsys: pytest.CaptureFixture[str], *options: str) -> dict[str, dict[str, Any]]:
    """What `wim size --json` says of each stage, by rule."""
    assert main(["size", "--json", *options]) == 0
    return {stage["rule"]: stage for stage in json.loads(capsys.readouterr().out)["stages"]}


def test_each_stage_is_sized_by_its_own_model_and_rows(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = sized(capsys)
    assert list(stages) == SIZED
    assert {rule: stage["rows"] for rule, stage in stages.items()} == {
        "generate_dialogues": 4 * 3,
        "rate_candidates": 4 * 3,
        "embed_critiques": 4 * 3 * 2,
        "train_dpo": 4 * 3,
    }
    assert stages["rate_candidates"]["memory"]["weights"] == weights_bytes(LLAMA)
    assert stages["generate_dialogues"]["memory"]["weights"] < 1e6
    assert stages["rate_candidates"]["fits_on_gb"] == [24, 40, 80]


def test_a_staged_model_stands_before_what_its_source_says(
    project: Path, small: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(small, project / "results/models/judge")
    assert sized(capsys)["rate_candidates"]["memory"]["weights"] < 1e6


def test_the_staged_prompts_stand_before_the_files(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from wim.prompts.ingest import ingest_prompts
    from wim.settings.prompts import PromptSettings

    (project / "some.jsonl").write_text(json.dumps({"prompt": "Why?"}), encoding="utf-8")
    table = project / "results/prompts/prompts.parquet"
    ingest_prompts(PromptSettings(files=["some.jsonl"]), table)
    assert sized(capsys)["generate_dialogues"]["rows"] == 3
    assert sized(capsys, "--prompts", "100")["generate_dialogues"]["rows"] == 300


def test_four_bits_leave_training_of_all_weights_as_it_is(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8")) | {"training": {"lora": None}}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    plain, packed = sized(capsys), sized(capsys, "--quantization", "nf4")
    assert packed["rate_candidates"]["memory"]["weights"] < 6.5e9
    assert packed["train_dpo"]["memory"] == plain["train_dpo"]["memory"]


def test_every_way_of_training_is_sized(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "config/config.yaml"
    more: dict[str, Any] = {
        "models": {"teacher": {"source": "hf:mistralai/Mistral-7B-Instruct@main"}},
        "policies": {"teacher": {"model": "teacher", "candidates": 1}},
        "sft": {"warm": {"completions": "teacher", "prompts": 0.5}},
        "reward_models": {"numbers": {"arm": "wim"}},
        "arms": {
            "wim": {"reward": "wim"},
            "live": {"reward": "wim", "method": "online_dpo", "start": "warm"},
        },
        "training": {"precision": "float32"},
    }
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    more["models"] |= config["models"]
    path.write_text(yaml.safe_dump(config | more), encoding="utf-8")
    assert main(["size", "--json", "--prompts", "100"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    rules = {(stage["rule"], stage["of"]): stage for stage in stages}
    assert rules["generate_dialogues", "teacher"]["rows"] == 100
    assert rules["generate_dialogues", "teacher"]["model"] == "Mistral-7B"
    dpo, sft = rules["train_dpo", "wim"], rules["train_sft", "warm"]
    numbers, live = rules["train_reward_model", "numbers"], rules["train_online_dpo", "live"]
    # Held out are 10 %; of the others half is fine-tuned on, and online training ignores them.
    assert [stage["rows"] for stage in (sft, numbers, dpo, live)] == [55, 300, 300, 90]
    held = [stage["memory"]["activations"] for stage in (sft, numbers, dpo)]
    assert held[0] < held[2] and held[1] < held[2], "one sequence a row, and no loss of tokens"
    judge, encoder = rules["rate_candidates", "big"], rules["embed_critiques", "big"]
    weights = [stage["memory"]["weights"] for stage in (dpo, judge, encoder, live)]
    assert weights[3] == pytest.approx(sum(weights[:3])), "the judge and the encoder are beside it"
    assert live["memory"]["cache"] >= judge["memory"]["cache"] > 0


def test_benchmarks_are_sized_by_staged_questions_or_a_thousand_a_task(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))

    def questions(**settings: object) -> list[int]:
        bench = {"kind": "harness", "tasks": ["a", "b"], "speakers": ["judge"], **settings}
        written = yaml.safe_dump(config | {"evaluations": {"bench": bench}})
        path.write_text(written, encoding="utf-8")
        assert main(["size", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)["stages"]
        measured = [stage for stage in found if stage["rule"] == "run_harness"]
        assert [stage["of"] for stage in measured] == ["bench@base", "bench@judge"]
        assert measured[1]["memory"]["weights"] == weights_bytes(LLAMA)
        return [stage["rows"] // 4 for stage in measured]

    assert questions() == [2000, 2000]
    staged = project / "results/evaluation/harness/bench.json"
    staged.parent.mkdir(parents=True)
    staged.write_text(json.dumps({"tasks": {"a": {"questions": 30}, "b": {"questions": 5}}}))
    assert questions() == [35, 35]
    assert questions(limit=10) == [15, 15]


def test_rewards_without_a_judge_are_sized_without_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["rewards"] = {"brief": {"kind": "brevity"}}
    live = {"reward": "brief", "method": "online_dpo"}
    config["arms"] = {"brief": {"reward": "brief"}, "live": live}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    stages = sized(capsys)
    assert list(stages) == ["generate_dialogues", "train_dpo", "train_online_dpo"]
    weights = [stages[rule]["memory"]["weights"] for rule in ("train_dpo", "train_online_dpo")]
    assert weights[0] == weights[1]


def test_a_judge_of_samples_is_sized_by_its_own_rule_and_all_its_judgements(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    once = sized(capsys)
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["judges"]["big"] |= {"sampling": {"temperature": 1.0}, "samples": 3}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    several = sized(capsys)
    assert "rate_candidates" not in several
    assert several["rate_samples"]["rows"] == 3 * once["rate_candidates"]["rows"]
    assert several["embed_critiques"]["rows"] == 3 * once["embed_critiques"]["rows"]


def test_the_speakers_of_a_dialogue_share_a_card_and_every_turn_adds_to_the_context(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    alone = sized(capsys)["generate_dialogues"]
    config["dialogues"] |= {"mode": "expert_chat", "partner": "judge", "exchanges": 3}
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    both = sized(capsys)["generate_dialogues"]
    added = both["memory"]["weights"] - alone["memory"]["weights"]
    assert added == pytest.approx(weights_bytes(LLAMA))
    assert both["memory"]["cache"] > 3 * alone["memory"]["cache"]
    # Three turns of the actor, each with three candidates, and three of the partner.
    assert both["rows"] == 4 * 3 * (3 + 1)


def test_a_discovery_is_sized_by_its_proposals_trainings_and_answers(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config["arms"] = {"wim": {"reward": "wim"}}
    config["prompts"]["eval_fraction"] = 0.25
    config["evaluations"] = {
        "f": {"kind": "frontier", "rewards": ["wim"], "speakers": ["base"], "kl_limit": 3.0}
    }
    without = sized(capsys)
    config["discovery"] = {
        "arm": "wim",
        "proposer": {"model": "judge"},
        "generations": 120,
        "attempts": 3,
        "fitness": {"evaluation": "f", "figure": "area"},
    }
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    assert main(["size", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    found = {(each["rule"], each["of"]): each for each in stages}
    assert found["propose_loss", "judge"]["rows"] == 120 * 3
    trained = found["train_discovered", "wim"]
    assert trained["jobs"] == 124 and trained["rows"] == 124 * without["train_dpo"]["rows"]
    assert found["generate_dialogues", "f@discovered"]["rows"] == 124
    assert found["measure_kl", "f@discovered"]["rows"] == 124


def test_a_model_named_on_the_command_line_takes_the_place_of_all_or_of_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stages = sized(capsys, "--model", "Mistral-7B", "--model", "judge=Mixtral-8x7B-Instruct")
    assert stages["generate_dialogues"]["model"] == "Mistral-7B"
    assert stages["rate_candidates"]["model"] == "Mixtral-8x7B-Instruct"


def test_without_a_configuration_a_size_is_enough(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shape = ("--parameters", "8e9", "--layers", "32", "--hidden", "4096")
    stages = sized(capsys, *shape, "--prompts", "500")
    assert stages["train_dpo"]["rows"] == 500
    assert stages["generate_dialogues"]["memory"]["weights"] == 16e9


def test_the_lines_for_the_profile_request_a_batch_that_fits(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--model", "Llama-3-8B-Instruct", "--gpu", "l4", "--prompts", "1000")
    assert main(["size", *options, "--prompt-tokens", "2000"]) == 0
    said = capsys.readouterr().out
    lines = said[said.index("set-resources:") : said.index("\nAssumed:")]
    asked = yaml.safe_load(lines)["set-resources"]
    assert list(asked) == SIZED
    assert all(each["gpu"] == 1 for each in asked.values())
    assert asked["rate_candidates"]["mem_mb"] > 16_000
    size = asked["rate_candidates"]["batch_size"]
    stages = sized(
        capsys, *options, "--prompt-tokens", "2000", "--batch-size", f"rate_candidates={size}"
    )
    assert stages["rate_candidates"]["memory"]["total"] <= 24e9


def test_a_model_of_no_known_shape_says_what_to_do(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "config/config.yaml"
    text = path.read_text(encoding="utf-8").replace("meta-llama/Meta-Llama-3-8B-Instruct", "a/b")
    path.write_text(text, encoding="utf-8")
    assert main(["size"]) == 1
    said = capsys.readouterr().err
    assert "models.judge: found the source 'hf:a/b@main'" in said
    assert "snakemake results/models/judge/manifest.json" in said


def test_sizing_loads_no_torch(project: Path) -> None:
    code = "import sys; from wim.cli import main; main(['size']); sys.exit('torch' in sys.modules)"
    command = [sys.executable, "-c", code]
    assert subprocess.run(command, env=os.environ, capture_output=True, check=False).returncode == 0
