"""Tell texts that are whole conversations from prompts, and read their turns."""

import ast
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wim.prompts.messages import ROLES, clean_text
from wim.tables.schemas import Message

LLAMA = {"[INST]": "user", "[/INST]": "assistant"}
# Names of speakers in the markers of Gemma and Command R, beside the usual ones.
SPEAKERS = {**ROLES, "model": "assistant", "chatbot": "assistant"}
# What such templates write before a conversation and behind a turn.
ENDS = r"<\|(?:im_end|endoftext|end|return|eot_id|begin_of_text)\|>|</s>"
# What gpt-oss thinks before an answer.
THOUGHT = r"<\|start\|>assistant<\|channel\|>(?:analysis|commentary)<\|message\|>.*?<\|end\|>"
SYSTEM = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>", re.DOTALL)


@dataclass(frozen=True)
class Form:
    """A way of writing a conversation as one text.

    start: how a turn begins, with its speaker's name. roles: the speakers' roles by their names.
    markers: what else stands around a turn.
    """

    start: re.Pattern[str]
    roles: Mapping[str, str] = field(default_factory=lambda: ROLES)
    markers: re.Pattern[str] = re.compile(r"(?!)")

    def turns(self, text: str) -> list[Message]:
        """The turns of a text of this form; none of another one.

        It begins with the first turn, which is a user's but for a system message, and has an
        assistant's.
        """
        text = self.markers.sub("", text).lstrip()
        starts = list(self.start.finditer(text))
        roles = [self.roles[start["name"].lower()] for start in starts]
        first = next((role for role in roles if role != "system"), None)
        if not starts or starts[0].start() or first != "user" or "assistant" not in roles:
            return []
        ends = [start.start() for start in starts[1:]] + [len(text)]
        return [
            Message(role=role, content=clean_text(text[start.end() : end]))
            for role, start, end in zip(roles, starts, ends, strict=True)
        ]


# Anthropic's HH-RLHF (arXiv:2204.05862) and its like; OpenAssistant's Guanaco; Vicuna; ChatML, as of
# Qwen; Llama 2 and Mistral; Llama 3; gpt-oss; Phi and Zephyr; Gemma; Command R; DeepSeek.
FORMS = (
    Form(re.compile(r"(?:\A|\n\n)(?P<name>Human|Assistant):")),
    Form(re.compile(r"(?:\A|\n\n)(?P<name>User|Assistant):")),
    Form(re.compile(r"### (?P<name>Human|User|Assistant):")),
    Form(re.compile(r"(?:\A|\s)(?P<name>USER|ASSISTANT):(?!\S)"), markers=re.compile("</s>")),
    Form(
        re.compile(r"<\|im_start\|>(?P<name>system|user|assistant)(?:\n|\Z)"),
        markers=re.compile(ENDS),
    ),
    Form(
        re.compile(r"(?P<name>\[/?INST\])"),
        roles={name.lower(): role for name, role in LLAMA.items()},
        markers=re.compile(r"</?s>"),
    ),
    Form(
        re.compile(r"<\|start_header_id\|>(?P<name>system|user|assistant)<\|end_header_id\|>"),
        markers=re.compile(ENDS),
    ),
    Form(
        re.compile(
            r"<\|start\|>(?P<name>system|developer|user|assistant)"
            r"(?:<\|channel\|>final)?(?:<\|message\|>|\Z)"
        ),
        markers=re.compile(rf"{THOUGHT}|{ENDS}", re.DOTALL),
    ),
    Form(
        re.compile(r"<\|(?P<name>system|user|assistant)\|>(?:\s|\Z)"),
        markers=re.compile(ENDS),
    ),
    Form(
        re.compile(r"<start_of_turn>(?P<name>system|user|model)(?:\n|\Z)"),
        roles=SPEAKERS,
        markers=re.compile(r"<bos>|<eos>|<end_of_turn>"),
    ),
    Form(
        re.compile(r"<\|START_OF_TURN_TOKEN\|><\|(?P<name>SYSTEM|USER|CHATBOT)_TOKEN\|>"),
        roles=SPEAKERS,
        markers=re.compile(r"<BOS_TOKEN>|<EOS_TOKEN>|<\|END_OF_TURN_TOKEN\|>"),
    ),
    Form(
        re.compile(r"<\uff5c(?P<name>User|Assistant)\uff5c>"),
        markers=re.compile(r"<\uff5c(?:begin|end)\u2581of\u2581sentence\uff5c>"),
    ),
)
SHOWN = "Human: and Assistant:, ### Human: and ### Assistant:, or the markers of a chat template"


def transcript_of(text: str) -> tuple[list[Message], str | None] | None:
    """The prompt and the answer of a transcript; None for a text that is none.

    Its prompt is what comes before the last turn of the assistant, and that turn is the answer,
    unless it is empty or the user has the last word.
    """
    text = clean_text(text)
    messages = next((turns for form in FORMS if (turns := form.turns(text))), [])
    if not messages:
        return None
    if messages[0]["role"] == "user" and (system := SYSTEM.match(messages[0]["content"])):
        own = Message(role="user", content=clean_text(messages[0]["content"][system.end() :]))
        messages = [Message(role="system", content=clean_text(system[1])), own, *messages[1:]]
    if messages[-1]["role"] == "user":
        return messages, None
    return messages[:-1], messages[-1]["content"] or None


def messages_in_json(text: str) -> list[object] | None:
    """The messages of a conversation that is written as JSON, or as Python prints it.

    None for any other text.
    """
    if not text.lstrip().startswith("["):
        return None
    value = _list_in(text)
    if not isinstance(value, list) or not value:
        return None
    keys = (("role", "content"), ("from", "value"))
    every = all(
        isinstance(turn, dict) and any(role in turn and content in turn for role, content in keys)
        for turn in value
    )
    return value if every else None


def _list_in(text: str) -> object:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None
