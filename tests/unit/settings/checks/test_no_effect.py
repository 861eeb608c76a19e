"""A setting that was written and changes nothing is said, and one that cannot act is refused."""

import pytest
import yaml

from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.settings.checks.no_effect import settings_without_effect
from wim.settings.load import load_config

MODELS = """
models:
  gpt: {source: endpoint:gpt@1, api: {url: https://api.example.com/v1}}
  plain: {source: path:model}
"""


def said(text: str) -> list[str]:
    """What is said of a configuration."""
    own = yaml.safe_load(text)
    models = yaml.safe_load(MODELS)["models"] | own.pop("models", {})
    values = {"models": models, **own}
    return list(settings_without_effect(load_config(values), values))


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        (
            "judges: {smollm2: {model: plain, sampling: {top_k: 5}}}",
            "judges.smollm2.sampling.top_k",
            "temperature 0",
        ),
        (
            "judges: {smollm2: {model: plain, sampling: {penalty_alpha: 0.6, top_p: 0.5}}}",
            "judges.smollm2.sampling.top_p",
            "contrastive search",
        ),
        (
            "judges: {smollm2: {model: gpt, sampling: {temperature: 0.5, top_k: 5}}}",
            "judges.smollm2.sampling.top_k",
            "APIs",
        ),
        (
            "judges: {idle: {model: plain}}\nrewards: {brief: {kind: brevity}}\n"
            "arms: {brief: {reward: brief}}",
            "judges.idle",
            "no reward reads a judge",
        ),
        ("dialogues: {sampling: {temperature: 0}}", "dialogues.candidates", "the same"),
        ("dialogues: {sampling: {penalty_alpha: 0.6}}", "dialogues.candidates", "the same"),
        (
            "dialogues: {mode: expert_chat, partner_sampling: {penalty_alpha: 0.6, temperature: 1}}",
            "dialogues.partner_sampling.temperature",
            "contrastive search",
        ),
        (
            "embeddings: {encoder: encoder}\n"
            "models: {encoder: {source: path:encoder, dtype: float16}}",
            "models.encoder.dtype",
            "sentence encoder",
        ),
    ],
)
def test_a_setting_without_effect_is_said_with_its_reason(text: str, key: str, why: str) -> None:
    (line,) = said(text)
    assert line.startswith(key) and why in line


@pytest.mark.parametrize(
    "path", [REPOSITORY / "config/config.yaml", *(REPOSITORY / "config/presets").glob("*.yaml")]
)
def test_the_projects_own_configurations_have_no_such_settings(path) -> None:
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(settings_without_effect(load_config(values), values)) == []


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            "judges: {smollm2: {model: gpt, sampling: {penalty_alpha: 0.6}}}",
            "judges.smollm2.sampling.penalty_alpha",
        ),
        (
            "models: {served: {source: path:m, serve: 'vllm serve {model} --port {port}', "
            "quantization: nf4}}",
            "models.served.quantization",
        ),
        (
            "models: {gpt: {source: endpoint:gpt@1, adapter: path:a, "
            "api: {url: https://api.example.com/v1}}}",
            "models.gpt.adapter",
        ),
        (
            "embeddings: {encoder: enc}\nmodels: {enc: {source: path:enc, quantization: nf4}}",
            "models.enc.quantization",
        ),
    ],
)
def test_what_cannot_act_is_refused_with_its_key(text: str, key: str) -> None:
    values = {**yaml.safe_load(MODELS), **yaml.safe_load(text)}
    with pytest.raises(UserError, match=key):
        load_config(values)
