"""Sequence classifiers with several labels give the probability of one of them."""

from pathlib import Path
from typing import Any

import pytest
import torch

from support.builders import user
from support.small_architectures import small_config, word_tokenizer
from support.workflow_runs import REPOSITORY
from wim.engines.label_scores import LabelModel
from wim.engines.reward_model_engine import Conversation
from wim.engines.turn_format import Turn
from wim.errors import UserError
from wim.settings.label_judges import LabelJudge

TEMPLATES = REPOSITORY / "config/chat_templates"


def write_classifier(
    model_type: str, folder: Path, labels: list[str], several: bool = False
) -> tuple[Any, Any]:
    """Write a classifier of random weights with its tokenizer, and return both."""
    from transformers import AutoModelForSequenceClassification

    tokenizer = word_tokenizer()
    if model_type in ("bert", "distilbert", "roberta"):
        tokenizer.cls_token, tokenizer.sep_token = "<s>", "</s>"
        tokenizer.bos_token = None
        tokenizer.eos_token = "</s>" if model_type == "roberta" else None
    tokenizer.chat_template = (TEMPLATES / "classifier.jinja").read_text()
    config = small_config(model_type)
    config.num_labels = len(labels)
    config.id2label, config.label2id = dict(enumerate(labels)), {n: i for i, n in enumerate(labels)}
    config.problem_type = "multi_label_classification" if several else None
    config.pad_token_id = tokenizer.pad_token_id
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_config(config).eval()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return model, tokenizer


SAID = Conversation(tuple(user("w5 w6")), Turn("w7 w8", finished=True))


@pytest.mark.parametrize("model_type", ["distilbert", "bert", "roberta", "llama", "gpt2"])
@pytest.mark.parametrize("several", [False, True])
def test_the_score_is_the_probability_of_the_label(
    tmp_path: Path, model_type: str, several: bool
) -> None:
    labels = ["NEGATIVE", "NEUTRAL", "POSITIVE"]
    model, tokenizer = write_classifier(model_type, tmp_path, labels, several)
    begins = model_type in ("distilbert", "bert", "roberta")
    text = f"{'<s> ' if begins else ''}w5 w6 w7 w8 </s>"
    ids = torch.tensor([tokenizer.convert_tokens_to_ids(text.split())])
    logits = model(input_ids=ids).logits[0].detach()
    expected = logits.sigmoid() if several else logits.softmax(0)
    for place, label in enumerate(labels):
        for name in (label, str(place)):
            ((_, score),) = LabelModel(tmp_path, name, "float32").scores([SAID])
            assert score.value == pytest.approx(float(expected[place]), abs=1e-6)
            assert score.tokens == ids.shape[1]


def test_an_unknown_label_is_refused_with_those_that_there_are(tmp_path: Path) -> None:
    write_classifier("distilbert", tmp_path, ["NEGATIVE", "POSITIVE"])
    with pytest.raises(UserError, match=r"no label 'positive'; write one of .* NEGATIVE, POSITIVE"):
        LabelModel(tmp_path, "positive", "float32")


def test_a_reward_model_has_no_label(tmp_path: Path) -> None:
    write_classifier("distilbert", tmp_path, ["LABEL_0"])
    with pytest.raises(UserError, match=r"a model of one label.* leave judges.<name>.label out"):
        LabelModel(tmp_path, "LABEL_0", "float32")


def test_a_language_model_is_no_classifier(tmp_path: Path) -> None:
    from transformers import LlamaForCausalLM

    write_classifier("llama", tmp_path, ["a", "b"])
    config = small_config("llama")
    config.num_labels = 2
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"score\.weight"):
        LabelModel(tmp_path, "1", "float32")


def test_a_label_belongs_to_reward_models() -> None:
    assert (
        LabelJudge.model_validate({"model": "m", "method": "reward_model", "label": 1}).label == "1"
    )
    with pytest.raises(ValueError, match="the method structured ignores label"):
        LabelJudge.model_validate({"model": "m", "label": "POSITIVE"})
