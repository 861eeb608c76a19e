"""The configuration refuses what it cannot use in the user's terms, and its reference is its own."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_origin

import jsonschema
import pytest
import yaml
from pydantic.fields import FieldInfo

from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.settings import docs as reference
from wim.settings.config import Config
from wim.settings.evaluations import DEMO_EVALUATIONS
from wim.settings.load import load_config
from wim.settings.models import DEMO_MODELS
from wim.settings.reading import expected_value, section_of
from wim.settings.section import Section

ROOT = REPOSITORY
EMBEDDED = yaml.safe_load((ROOT / "config/config.yaml").read_text(encoding="utf-8"))
SCHEMA = json.loads((ROOT / "config/schema.json").read_text(encoding="utf-8"))

REQUIRED = {
    "models.<name>.source",
    "prices.<name>.input",
    "prices.<name>.output",
    "policies.<name>.model",
    "reward_models.<name>.arm",
    "rounds.stop.below",
    "judges.<name>.model",
    "comparisons.<name>.judge",
    "discovery.arm",
    "prompts.topics.number",
    "study.recorded.<name>.ratings",
}


def leaf_keys(section: type[Section], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key that is not itself a section, by its dotted path."""
    for name, field in section.model_fields.items():
        inner = section_of(field.annotation)
        if inner is None:
            yield path + name, field
        else:
            named = ".<name>" if get_origin(field.annotation) is dict else ""
            yield from leaf_keys(inner, f"{path}{name}{named}.")


KEYS = dict(leaf_keys(Config))


def refusal(text: str) -> str:
    """What the user reads about a file of this content."""
    with pytest.raises(UserError) as refused:
        load_config(yaml.safe_load(text), "mine.yaml")
    return str(refused.value)


# The reference


def test_generated_files_are_up_to_date() -> None:
    assert reference.drifted(ROOT) == [], f"run {reference.COMMAND}"


def test_check_names_each_drifted_file_and_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "docs/reference").mkdir(parents=True)
    monkeypatch.setattr(reference, "repository_root", lambda: tmp_path)

    assert reference.main([]) == 0
    assert reference.main(["--check"]) == 0
    (tmp_path / "config/config.yaml").write_text("seed: 1\n")
    capsys.readouterr()
    assert reference.main(["--check"]) == 1

    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("config/config.yaml: differs")
    assert "python -m wim.settings.docs" in line
    assert (tmp_path / "config/config.yaml").read_text() == "seed: 1\n"


def test_the_reference_imports_nothing_heavy() -> None:
    heavy = "{'torch', 'transformers', 'pandas', 'datasets'}"
    program = f"import sys, wim.settings.docs; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("key", KEYS)
def test_every_key_is_described_with_a_unit_and_a_default(key: str) -> None:
    text, unit = reference.split_unit(KEYS[key].description or "")
    assert text, "write a docstring below the attribute"
    assert unit, "end the docstring in 'Unit: ...', which may be none"
    assert KEYS[key].is_required() == (key in REQUIRED)


def test_required_keys_are_no_more_than_listed() -> None:
    assert {key for key, field in KEYS.items() if field.is_required()} == REQUIRED


def test_embedded_file_is_the_default_and_names_every_key() -> None:
    embedded = Config(evaluations=DEMO_EVALUATIONS)
    assert load_config(EMBEDDED, "config.yaml") == embedded
    for section, names in embedded.model_dump().items():
        assert EMBEDDED[section] == names


def test_embedded_file_describes_each_key_once_before_it() -> None:
    lines = (ROOT / "config/config.yaml").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# yaml-language-server: $schema=schema.json"
    assert max(map(len, lines)) <= 100
    assert sum("Weight of the cosine" in line for line in lines) == 1
    zeta = next(number for number, line in enumerate(lines) if line.lstrip().startswith("zeta:"))
    assert "Weight of the cosine" in lines[zeta - 1]


def test_schema_accepts_the_embedded_file_and_refuses_other_keys() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.validate(EMBEDDED)
    for wrong in (
        {"sed": 3},
        {"prompts": {"shard": 3}},
        {"arms": {"a": {"reward": "wim", "training": {"lora": {"rnk": 8}}}}},
        {"arms": {"a b": {"reward": "wim"}}},
    ):
        assert not validator.is_valid(wrong), wrong


def test_schema_has_description_default_and_unit_apart() -> None:
    shards = SCHEMA["$defs"]["PromptSettings"]["properties"]["shards"]
    assert shards["description"].startswith("Number of hash buckets")
    assert (shards["default"], shards["x-unit"], shards["maximum"]) == (2, "shards", 99_999)
    assert "Unit: " not in json.dumps(SCHEMA)


def test_page_shows_every_key_and_its_examples_are_valid() -> None:
    page = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    for key in KEYS:
        assert f"| `{key.split('.')[-1]}` |" in page
    assert "| `shards` | integer from 1 to 99999 | `2` | shards |" in page
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 3
    for example in examples:
        values = yaml.safe_load(example)
        load_config(values)
        jsonschema.validate(values, SCHEMA)


# What is accepted


def test_what_is_left_out_has_its_default() -> None:
    assert load_config({}) == Config()
    config = load_config({"prompts": {"limit": 7}})
    assert config.prompts == Config().prompts.model_copy(update={"limit": 7})


def test_part_of_a_nested_section_keeps_the_default_of_its_place() -> None:
    config = load_config({"judges": {"smollm2": {"model": "smollm2", "sampling": {"top_k": 5}}}})
    default = Config().judges["smollm2"].sampling
    assert config.judges["smollm2"].sampling == default.model_copy(update={"top_k": 5})
    assert default.temperature != config.dialogues.sampling.temperature


@pytest.mark.parametrize("number", ["5e-7", "5.0e-7", "5E-07", "0.0000005", "'5e-7'"])
def test_a_number_without_a_point_is_a_number_though_yaml_reads_text(number: str) -> None:
    values = yaml.safe_load(f"training: {{learning_rate: {number}}}")
    assert load_config(values).training.learning_rate == 5e-7


def test_embedded_models_are_known_beside_ones_own() -> None:
    config = load_config({"models": {"mine": {"source": "path:models/mine"}}})
    assert set(config.models) == {*DEMO_MODELS, "mine"}


def test_an_arms_nested_override_keeps_the_other_keys() -> None:
    config = load_config(
        yaml.safe_load("""
            training: {beta: 0.2, lora: {alpha: 64, dropout: 0.1}}
            pairs: {ties: first}
            arms:
              small: {reward: wim, training: {lora: {rank: 8}}, pairs: {min_margin: 0.5}}
              full: {reward: wim, training: {lora: null}}
              common: {reward: wim}
        """)
    )
    lora = config.arm_training("small").lora
    assert lora is not None
    assert (lora.rank, lora.alpha, lora.dropout) == (8, 64, 0.1)
    assert config.arm_training("small").beta == 0.2
    assert config.arm_pairs("small") == config.pairs.model_copy(update={"min_margin": 0.5})
    assert config.arm_training("full") == config.training.model_copy(update={"lora": None})
    assert config.arm_training("common") == config.training


def test_an_arm_can_bring_adapters_back_with_their_defaults() -> None:
    arms = {"a": {"reward": "wim", "training": {"lora": {"rank": 8}}}}
    lora = load_config({"training": {"lora": None}, "arms": arms}).arm_training("a").lora
    default = Config().training.lora
    assert default is not None and lora == default.model_copy(update={"rank": 8})


# What is refused

NAME = "write a name of letters, digits, dots, _ and -"
FORMS = (
    "hf:<repo>@<revision>",
    "path:<folder, .gguf file or archive>",
    "pypi:<package>==<version>/",
)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        # Unknown keys, at each nesting
        ("sead: 3", ["sead: unknown key", "did you mean 'seed'?"]),
        ("prompts: {shard: 3}", ["prompts.shard: unknown key", "'shards'?"]),
        (
            "xyz: 3",
            [
                "xyz: unknown key",
                "known keys: seed, store, local_scratch, tracking, parallel, models",
            ],
        ),
        ("1: 3", ["1: unknown key", "known keys: seed"]),
        ("dialogues: {sampling: {topk: 3}}", ["dialogues.sampling.topk: unknown", "'top_k'?"]),
        ("training: {lora: {rnk: 3}}", ["training.lora.rnk: unknown key", "'rank'?"]),
        (
            "rewards: {wim: {judge: smollm2, zeta: 1, ratng: rating}}",
            ["rewards.wim.ratng: unknown key", "'rating'?"],
        ),
        (
            "judges: {smollm2: {model: smollm2, sampling: {temprature: 1}}}",
            ["judges.smollm2.sampling.temprature: unknown key", "'temperature'?"],
        ),
        ("arms: {a: {reward: wim, pair: {}}}", ["arms.a.pair: unknown key", "'pairs'?"]),
        (
            "arms: {a: {reward: wim, pairs: {tie: drop}}}",
            ["arms.a.pairs.tie: unknown key", "'ties'?"],
        ),
        (
            "arms: {a: {reward: wim, training: {lora: {rnk: 3}}}}",
            ["arms.a.training.lora.rnk: unknown key", "'rank'?"],
        ),
        # Values of the wrong type or out of bounds
        ("seed: x", ["seed: found 'x'; write an integer from 0 to 2147483647."]),
        ("seed: 1.5", ["seed: found 1.5; write an integer"]),
        ("seed: -1", ["seed: found -1; write an integer from 0"]),
        ("local_scratch: 3", ["local_scratch: found 3; write text, or null; put text in quotes"]),
        ("local_scratch: ''", ["local_scratch: found ''; write text, or null."]),
        ("prompts: {shards: 0}", ["prompts.shards: found 0; write an integer from 1 to 99999."]),
        ("prompts: {limit: 0}", ["prompts.limit: found 0; write an integer, at least 1, or null."]),
        ("prompts: {fraction: .nan}", ["prompts.fraction: found nan; write a number, above 0 and"]),
        ("prompts: {files: a.jsonl}", ["prompts.files: found 'a.jsonl'; write a list of text"]),
        (
            "prompts: {files: []}",
            ["prompts: no files and no topics; write files: [<file of prompts>]"],
        ),
        ("prompts: {column: 3}", ["prompts.column: found 3; write text, or null; put text in quo"]),
        ("dialogues: {system: no}", ["dialogues.system: found False; write text", "in quotes"]),
        (
            "dialogues: {mode: chat}",
            ["dialogues.mode: found 'chat'; write one of completions, expert_chat."],
        ),
        ("training: {loss: dpo}", ["training.loss: found 'dpo'; did you mean 'sigmoid'?"]),
        ("training: {gradient_checkpointing: 3}", ["found 3; write true or false."]),
        ("training: {lora: {target_modules: 3}}", ["lora.target_modules: found 3; write text, or"]),
        ("training: {lora: {target_modules: [3]}}", ["lora.target_modules: found [3]; write text"]),
        (
            "rewards: {a: {judge: smollm2, kind: random, zeta: 1}}",
            ["rewards.a: the kind random ignores zeta; leave the line out."],
        ),
        (
            "rewards: {a: {judge: smollm2, kind: published, zeta: 1}}",
            [
                "rewards.a.kind: found 'published'",
                "a judge of the method upstream",
                "is structured.",
            ],
        ),
        (
            "rewards: {wim: {judge: smollm2, zeta: 1.1}}",
            ["rewards.wim.zeta: found 1.1; ", "0 to 1"],
        ),
        (
            "rewards: {wim: {judge: smollm2, zeta: -0.1}}",
            ["rewards.wim.zeta: found -0.1", "0 to 1"],
        ),
        (
            "arms: {a: {reward: wim, training: {beta: 0}}}",
            ["arms.a.training.beta: found 0; write a number, above 0."],
        ),
        (
            "prompts: {min_chars: 9, max_chars: 3}",
            ["prompts: min_chars (9) is above max_chars (3)"],
        ),
        # Models
        ("models: {a: {source: gpt2}}", ["models.a.source: found 'gpt2'", *FORMS]),
        ("models: {a: {source: 'hf:gpt2'}}", ["models.a.source: found 'hf:gpt2'", *FORMS]),
        (
            "models: {a: 'hf:a/b@main'}",
            ["models.a: found 'hf:a/b@main'", "(source, sha256, dtype"],
        ),
        ("models: {a: {}}", ["models.a.source: missing; write text."]),
        (
            "models: {a: {source: 'path:x', sha256: ABC}}",
            ["models.a.sha256: found 'ABC'", "64 lower-case hexadecimal digits"],
        ),
        # Missing and undefined names
        ("judges: {a: {}}", ["judges.a.model: missing; " + NAME]),
        (
            "rewards: {a: {judge: smollm2}}",
            ["rewards.a: zeta is missing; write a number from 0 to 1."],
        ),
        (
            "dialogues: {actor: smolm2}",
            ["dialogues.actor: found 'smolm2'", "models; ", "'smollm2'?"],
        ),
        (
            "embeddings: {encoder: bert}",
            ["embeddings.encoder: found 'bert'", "one of: smollm2, min"],
        ),
        (
            "judges: {smollm2: {model: qwen}}",
            ["judges.smollm2.model: found 'qwen'", "under models"],
        ),
        (
            "rewards: {wim: {judge: gpt, zeta: 1}}",
            ["rewards.wim.judge: found 'gpt'", "under judges"],
        ),
        ("arms: {a: {reward: win}}", ["arms.a.reward: found 'win'", "under rewards", "'wim'?"]),
        (
            "judges: {mine: {model: smollm2}}",
            ["rewards.wim.judge: found 'smollm2'", "a default; write rewards of your own."],
        ),
        # Names
        ("arms: {my arm: {reward: wim}}", ["arms.my arm: found 'my arm'; " + NAME]),
        ("arms: {a/b: {reward: wim}}", ["arms.a/b: found 'a/b'; " + NAME]),
        ("arms: {1: {reward: wim}}", ["arms.1: found 1; " + NAME]),
        ("dialogues: {actor: a b}", ["dialogues.actor: found 'a b'; " + NAME]),
        # Sections that are none
        (
            "prompts:",
            ["prompts: empty; write", "its keys (files, topics", "or leave the line out."],
        ),
        ("prompts: 3", ["prompts: found 3; write below it, indented, its keys (files, topics"]),
        (
            "training: {lora: 3}",
            ["training.lora: found 3; write below it, indented, its keys (rank"],
        ),
        ("dialogues: {sampling: }", ["dialogues.sampling: empty; write", "leave the line out."]),
        ("models:", ["models: empty; write names of your choice", "leave the line out."]),
        (
            "arms: [wim]",
            ["arms: found ['wim']; write names of your choice", "(reward, comparison, "],
        ),
        ("judges: {a: }", ["judges.a: empty; write below it, indented, its keys (model, method"]),
        ("arms: {a: {reward: wim, pairs: }}", ["arms.a.pairs: empty; write keys and values"]),
        ("seed:", ["seed: empty; write an integer", "leave the line out."]),
        ("[1, 2]", ["found [1, 2]; write", "its keys (seed, store, local_scratch"]),
        (r'store: "a\0b"', [r"store: found '\x00' in it, NUL; take it out."]),
        (
            r'dialogues: {system: "smile \ud83d\ude00"}',
            [r"dialogues.system: found '\ud83d' in it", "write the character itself."],
        ),
        (r'prompts: {files: ["\0"]}', ["prompts.files.0: found"]),
        (r'arms: {"\0": {reward: wim}}', [r"arms.\x00: found '\x00' in it"]),
        (
            "{judges: {}, rewards: {w: {judge: j, zeta: 1}}}",
            ["rewards.w.judge: found 'j'", "judges is empty; define it there."],
        ),
    ],
)
def test_refusal_says_key_finding_and_remedy(text: str, parts: list[str]) -> None:
    message = refusal(text)
    for part in parts:
        assert part in message
    for line in message.splitlines():
        assert line.startswith("mine.yaml: ")
        assert line[-1] in ".?"
    for word in ("Input should", "dictionary", "instance of", "pydantic", "Value error"):
        assert word not in message


def test_all_problems_are_told_at_once_a_line_each() -> None:
    message = refusal("""
        seed: x
        prompts: {shards: 0}
        arms: {a: {reward: wim}}
    """)
    assert [line.split(": ")[1] for line in message.splitlines()] == ["seed", "prompts.shards"]
    message = refusal("""
        dialogues: {actor: none}
        arms:
          a: {reward: none}
          b: {reward: wim, training: {beta: -1}}
    """)
    keys = [line.split(": ")[1] for line in message.splitlines()]
    assert keys == ["dialogues.actor", "arms.a.reward", "arms.b.training.beta"]


@pytest.mark.parametrize(
    ("text", "key", "kind", "words"),
    [
        ("models: {on: {source: 'path:x'}}", "models.True", "a boolean", "true, yes and on"),
        ("true: 1", "True", "a boolean", "true, yes and on"),
        ("arms: {a: {no: 1}}", "arms.a.False", "a boolean", "false, no and off"),
        ("judges: {~: {model: x}}", "judges.None", "null", "an empty key, ~ and null"),
        ("models: {1.5: {source: 'path:x'}}", "models.1.5", "a number", "1.5"),
        ("models: {2024-01-02: {}}", "models.2024-01-02", "a date", "2024-01-02"),
        ("grid: {main: [{off: 1}]}", "grid.main.0.False", "a boolean", "false, no and off"),
    ],
)
def test_a_key_that_yaml_reads_as_no_text_is_answered_with_quotes(
    text: str, key: str, kind: str, words: str
) -> None:
    assert refusal(text) == (
        f"mine.yaml: {key}: found a key that is {kind}: YAML reads {words}, without quotes, as "
        f"{kind}; put the key in quotes, as in '{words.split()[-1]}': ..."
    )


def test_every_key_that_is_no_text_is_told_and_a_quoted_one_is_a_name() -> None:
    assert len(refusal("arms: {no: {reward: wim}, yes: {reward: wim}}").splitlines()) == 2
    assert "models.7: found 7; write a name of letters, digits, dots, _ and -, in quotes." in (
        refusal("models: {7: {source: 'path:x'}}")
    )
    models = yaml.safe_load("models: {'on': {source: 'path:x'}, '7': {source: 'path:x'}}")
    assert {"on", "7"} < set(load_config(models).models)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("seed: x\n", "mine.yaml: seed: found 'x'; write an integer from 0 to 2147483647."),
        ("models: {on: {source: 'path:x'}}\n", "mine.yaml: models.True: found a key that is a b"),
        ("seed: 1\nseed: 2\n", "mine.yaml:2: found the key 'seed' twice in one section, first in"),
    ],
)
def test_snakemake_shows_the_refusal_of_a_configfile_without_a_traceback(
    text: str, said: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(text)
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--cores", "1"]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    done = subprocess.run(
        [*command, "--configfile", str(mine)], capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    assert done.returncode != 0
    assert said in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "an integer"),
        (float | None, "a number, or null"),
        (list[str], "a list of text"),
        (dict[str, Any], "keys and values"),
    ],
)
def test_types_read_as_words(annotation: Any, words: str) -> None:
    assert expected_value(annotation) == words
