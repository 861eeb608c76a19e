"""Reward models of any shape score conversations of any length."""

from pathlib import Path
from typing import Any

import pytest
import torch

from support.builders import user
from support.small_architectures import POSITIONS, small_config, word_tokenizer
from wim.engines.reward_model_engine import Conversation, ScoringModel
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.tables.schemas import Message


def write_scorer(model_type: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write a reward model of random weights, whose tokenizer is one of words."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = word_tokenizer()
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *args, **named: tokenizer)
    config = small_config(model_type)
    config.num_labels = 1
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config)
    model.save_pretrained(folder)


def words(count: int) -> Conversation:
    """A conversation of so many tokens, with the answer's one and the one that ends it."""
    asked = " ".join(f"w{3 + place % 60}" for place in range(count - 2))
    return Conversation(tuple(user(asked)), Turn("w5"))


@pytest.mark.parametrize(
    ("model_type", "longest"), [("llama", POSITIONS), ("roberta", POSITIONS - 1), ("bloom", 1000)]
)
def test_a_conversation_beyond_the_positions_has_no_score(
    model_type: str, longest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scorer(model_type, tmp_path, monkeypatch)
    model = ScoringModel(tmp_path, "float32", batch_size=2)
    scores = dict(model.scores([words(3), words(longest), words(longest + 1)]))
    assert [scores[place].tokens for place in range(3)] == [3, longest, longest + 1]
    found = [scores[place].value is not None for place in range(3)]
    assert found == [True, True, model_type == "bloom"]


@pytest.mark.parametrize("model_type", ["qwen3_5_text", "mistral", "gemma3_text", "jamba"])
def test_a_score_is_that_of_the_conversation_alone(
    model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scorer(model_type, tmp_path, monkeypatch)
    model = ScoringModel(tmp_path, "float32", batch_size=4)
    conversations = [words(count) for count in (3, 40, 7, 21)]
    together = dict(model.scores(conversations))
    for place, conversation in enumerate(conversations):
        (alone,) = (score for _, score in model.scores([conversation]))
        assert together[place].value == alone.value
    model.batch_size = 4  # As on a GPU.
    for place, score in model.scores(conversations):
        assert score.value == pytest.approx(together[place].value, abs=1e-5)


def test_a_language_model_is_no_reward_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import LlamaForCausalLM

    write_scorer("llama", tmp_path, monkeypatch)
    config = small_config("llama")
    config.num_labels = 1
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"lack 1 weights .* score.weight; write a reward model"):
        ScoringModel(tmp_path, "float32")


def test_a_conversation_that_the_template_refuses_has_a_reason_and_no_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_scorer("llama", tmp_path, monkeypatch)
    model = ScoringModel(tmp_path, "float32")
    model.tokenizer.chat_template = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "{% for each in messages %}{{ each.content }} {% endfor %}"
    )
    system: Message = {"role": "system", "content": "w9"}
    refused = Conversation((system, *user("w7 w8")), Turn("w5"))
    scores = dict(model.scores([refused, words(5)]))
    assert scores[0].value is None and "no system" in scores[0].reason
    assert scores[1].value is not None
