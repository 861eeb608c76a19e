"""The rows of each trainer's format, as the readers of these tools take them.

TRL 1.16: conversational prompt-completion, preference and unpaired preference ("Dataset formats").
LLaMA-Factory 0.9.5: sharegpt with `ranking` or `kto_tag` (data/README.md). axolotl 0.19: the types chat_template.default of
preferences and chat_template of conversations. OpenRLHF 0.11: RewardDataset and SFTDataset with
--data.apply_chat_template. NeMo-RL 0.3: PreferenceDataset and OpenAIFormatDataset.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from wim.exporting.rows import ExportedCompletion, ExportedLabel, ExportedPair, ExportedRating
from wim.tables.schemas import Message

Row = dict[str, Any]
FROM = {"system": "system", "user": "human", "assistant": "gpt"}


def answer(text: str) -> Message:
    """A message of the assistant's."""
    return {"role": "assistant", "content": text}


def _trl_pair(pair: ExportedPair) -> Row:
    return {
        "prompt": pair.prompt,
        "chosen": [answer(pair.chosen)],
        "rejected": [answer(pair.rejected)],
    }


def _trl_completion(one: ExportedCompletion) -> Row:
    return {"prompt": one.prompt, "completion": [answer(one.completion)]}


def _trl_label(one: ExportedLabel) -> Row:
    completion = [answer(one.completion)]
    return {"prompt": one.prompt, "completion": completion, "label": one.desirable}


def _turn(message: Message) -> Row:
    return {"from": FROM.get(message["role"], message["role"]), "value": message["content"]}


def _llamafactory_label(one: ExportedLabel) -> Row | None:
    # Its processor takes an answer that says nothing for the undesirable one, whatever its tag.
    if not one.completion:
        return None
    turns = [_turn(each) for each in [*one.prompt, answer(one.completion)]]
    return {"conversations": turns, "kto_tag": one.desirable}


def _llamafactory_pair(pair: ExportedPair) -> Row:
    return {
        "conversations": [_turn(message) for message in pair.prompt],
        "chosen": _turn(answer(pair.chosen)),
        "rejected": _turn(answer(pair.rejected)),
    }


def _llamafactory_completion(one: ExportedCompletion) -> Row:
    return {"conversations": [_turn(each) for each in [*one.prompt, answer(one.completion)]]}


def _axolotl_pair(pair: ExportedPair) -> Row:
    return {
        "messages": pair.prompt,
        "chosen": answer(pair.chosen),
        "rejected": answer(pair.rejected),
    }


def _axolotl_completion(one: ExportedCompletion) -> Row:
    return {"messages": [*one.prompt, answer(one.completion)]}


def _openrlhf_pair(pair: ExportedPair) -> Row:
    return {**_trl_pair(pair), "margin": pair.row["margin"]}


def _openrlhf_completion(one: ExportedCompletion) -> Row:
    return {"input": one.prompt, "output": [answer(one.completion)]}


def _nemo_rl_pair(pair: ExportedPair) -> Row:
    ranked = enumerate((pair.chosen, pair.rejected))
    return {
        "context": pair.prompt,
        "completions": [{"rank": rank, "completion": [answer(text)]} for rank, text in ranked],
    }


def _plain_pair(pair: ExportedPair) -> Row:
    return {**pair.row, "chosen": pair.chosen, "rejected": pair.rejected}


def _plain_completion(one: ExportedCompletion) -> Row:
    return {
        "prompt": one.prompt,
        "completion": one.completion,
        "prompt_id": one.prompt_id,
        "score": one.score,
        "split": one.split,
    }


def plain_rating(one: ExportedRating) -> Row:
    """A judgement as a row, its rewards below `rewards`."""
    texts = {"prompt": one.prompt, "completion": one.completion, "split": one.split}
    return {**texts, **one.row, "rewards": one.rewards}


@dataclass(frozen=True)
class Format:
    """How a trainer reads pairs, completions and labelled answers.

    Attributes:
        pair, completion: A row of its file.
        listed: Whether a file is a JSON list; else it has a row in each line.
        label: A row of its file of labelled answers, None for one that it cannot say; None where it
            has no form for conversations.
    """

    pair: Callable[[ExportedPair], Row]
    completion: Callable[[ExportedCompletion], Row]
    listed: bool = False
    label: Callable[[ExportedLabel], Row | None] | None = None

    @property
    def suffix(self) -> str:
        """Of its files."""
        return ".json" if self.listed else ".jsonl"


FORMATS: Mapping[str, Format] = {
    "trl": Format(_trl_pair, _trl_completion, label=_trl_label),
    "llamafactory": Format(
        _llamafactory_pair, _llamafactory_completion, listed=True, label=_llamafactory_label
    ),
    "axolotl": Format(_axolotl_pair, _axolotl_completion),
    "openrlhf": Format(_openrlhf_pair, _openrlhf_completion),
    "nemo_rl": Format(_nemo_rl_pair, _axolotl_completion),
    "jsonl": Format(_plain_pair, _plain_completion),
}


def llamafactory_info(files: Mapping[str, str]) -> Row:
    """`dataset_info.json` of LLaMA-Factory: what its files are, by their stems.

    Args:
        files: `pairs`, `completions` or `labels`, by file name.
    """
    tags = {
        **{"role_tag": "from", "content_tag": "value", "user_tag": "human"},
        **{"assistant_tag": "gpt", "system_tag": "system"},
    }
    found: Row = {}
    for name, kind in files.items():
        columns = {"messages": "conversations"}
        if kind == "pairs":
            columns |= {"chosen": "chosen", "rejected": "rejected"}
        if kind == "labels":
            columns |= {"kto_tag": "kto_tag"}
        found[name.partition(".")[0]] = {
            "file_name": name,
            "formatting": "sharegpt",
            **({"ranking": True} if kind == "pairs" else {}),
            "columns": columns,
            "tags": tags,
        }
    return found


AXOLOTL = """\
# The parts of an axolotl configuration that read these files; of one run only one of the two.
# rl: dpo
datasets:
  - path: pairs_train.jsonl
    ds_type: json
    split: train
    type: chat_template.default
    field_messages: messages
    field_chosen: chosen
    field_rejected: rejected
# Fine-tuning:
#  - path: completions_train.jsonl
#    ds_type: json
#    type: chat_template
#    field_messages: messages
"""
