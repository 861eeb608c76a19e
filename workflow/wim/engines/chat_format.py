"""How a model's conversations become tokens, and its tokens an answer: once, for every use.

Generation, judging and training all take the tokens of a prompt from here, so that a model is
trained on what it was given, and only on what it wrote.
"""

from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

from wim.engines.base import Completion
from wim.engines.reasoning import MARKERS, Markers, Span, Written, marker_texts, parts_of
from wim.engines.special_tokens import escaped_messages, special_token_pattern, special_tokens
from wim.errors import UserError
from wim.settings.models import Thinking, thinking_room
from wim.tables.schemas import Message


class Refusal(UserError):
    """A model's chat template refuses a conversation; the text says why and what to write."""


class ChatFormat:
    """A tokenizer with its chat template, and what its model writes around reasoning.

    Attributes:
        tokenizer: The staged model's.
        ends: The tokens by which the model ends its turn.
        thinking: Whether the model is to reason; see ModelSource.thinking.
        markers: What the model writes around its reasoning, None for one that does not reason.
        name: The model's name, for messages; by default its tokenizer's folder.

    Raises UserError for a tokenizer without a chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        ends: Iterable[int],
        thinking: Thinking = None,
        name: str | None = None,
    ) -> None:
        self.name = name or str(tokenizer.name_or_path)
        if tokenizer.chat_template is None:
            raise UserError(
                f"{self.name}: the model has no chat template, which turns messages "
                "into its text; take a chat or instruct model, or write a .jinja file as "
                "models.<name>.chat_template."
            )
        self.tokenizer = tokenizer
        self.ends = frozenset(ends)
        self.thinking = thinking
        self.markers = markers_of(tokenizer)
        known = special_tokens(tokenizer) | set(
            marker_texts([self.markers] if self.markers else [])
        )
        # The tokenizer knows all special tokens of its model, so that no other spelling counts.
        self.special = special_token_pattern(known, spellings=())

    @classmethod
    def of_folder(cls, folder: Path, thinking: Thinking = None, name: str | None = None) -> Self:
        """The format of a staged model. Loads its tokenizer, and not its weights."""
        from transformers import AutoTokenizer

        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError) as error:
            raise UserError(
                f"{folder}: its tokenizer cannot be opened ({str(error).splitlines()[0]}). Code that "
                "comes with a model is not run; write another model."
            ) from None
        return cls(tokenizer, end_tokens(generation_config(folder), tokenizer), thinking, name)

    @property
    def room(self) -> int:
        """Tokens of reasoning that the model may write before its answer."""
        return thinking_room(self.thinking)

    def prompt(self, messages: Iterable[Message], opening: str = "", answer: bool = False) -> str:
        """The text that the model continues.

        Args:
            messages: The conversation; special tokens in it are escaped.
            opening: Text that the answer begins with.
            answer: Whether the answer itself follows, without reasoning, whatever `thinking` says.

        Raises:
            Refusal: The template refuses the conversation.
        """
        without = self.thinking == "off" or ((answer or bool(opening)) and self.markers is not None)
        text = self.rendered(messages, without=without)
        return (self._without_reasoning(text) if without else text) + opening

    def rendered(
        self, messages: Iterable[Message], begun: bool = True, without: bool = False
    ) -> str:
        """Messages in the words of the chat template, with special tokens in them escaped.

        Args:
            messages: The conversation.
            begun: Whether the assistant's next turn is begun.
            without: Whether the template is told that there is no reasoning.

        Raises:
            Refusal: The template refuses the conversation.
        """
        from jinja2 import TemplateError

        conversation = escaped_messages(messages, self.special)
        switch = {} if self.thinking is None and not without else _switch(not without)
        try:
            return str(
                self.tokenizer.apply_chat_template(
                    conversation, tokenize=False, add_generation_prompt=begun, **switch
                )
            )
        except (TemplateError, TypeError, OverflowError, RecursionError) as error:
            raise Refusal(
                f"the chat template of {self.name} refuses the conversation: {error}"
                f"{_remedy(conversation)}"
            ) from error

    def _without_reasoning(self, text: str) -> str:
        """A prompt after which the answer itself follows."""
        if self.markers is None or text.rstrip().endswith(self.markers.closing):
            return text
        if self.opened(text):
            return f"{text.rstrip()}\n\n{self.markers.closing}\n\n"
        return text + self.markers.without_reasoning

    def opened(self, prompt: str) -> Markers | None:
        """The model's markers where a prompt ends with the opening one, else None."""
        markers = self.markers
        return markers if markers and prompt.rstrip().endswith(markers.opening.rstrip()) else None

    def tokens(self, text: str) -> list[int]:
        """The ids of a text as it is, in which special tokens count as such."""
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def after(self, text: str, continuations: Sequence[str]) -> list[list[int]]:
        """The tokens of continuations of a text; some tokenizers merge them with what is before."""
        before = self.tokens(text)
        joined = [self.tokens(text + each) for each in continuations]
        if all(tokens[: len(before)] == before for tokens in joined):
            return [tokens[len(before) :] for tokens in joined]
        return [self.tokens(each) for each in continuations]

    def read(self, drawn: Sequence[int], opened: Markers | None = None) -> Written:
        """The reasoning and the answer that a model wrote.

        Args:
            drawn: The tokens, with or without the one that ends the turn.
            opened: The markers whose opening the prompt ended with.
        """
        text, plain = self._written(drawn)

        def said(part: Span | None) -> str | None:
            if part is None:
                return None
            runs = (text[max(a, part.start) : min(b, part.end)] for a, b in plain)
            return "".join(runs).strip()

        parts = parts_of(text, opened)
        return Written(said(parts.reasoning), said(parts.answer))

    def completion(
        self, key: str, drawn: Sequence[int], prompt_tokens: int, opened: Markers | None = None
    ) -> Completion:
        """What a model wrote, as the answer to a request.

        Args:
            key: The request's.
            drawn: The tokens, with the one that ended the turn if one did.
            prompt_tokens: Those of the prompt.
            opened: The markers whose opening the prompt ended with.
        """
        ended = bool(drawn) and drawn[-1] in self.ends
        written = self.read(drawn[:-1] if ended else drawn, opened)
        return Completion(
            key,
            written.answer or "",
            "stop" if ended and written.answer is not None else "length",
            prompt_tokens,
            len(drawn),
            written.reasoning,
            tuple(drawn),
        )

    def within(self, drawn: Sequence[int], answer: int, opened: Markers | None = None) -> int:
        """How many of some tokens a model would have drawn with room for reasoning and an answer.

        Args:
            drawn: The tokens, of which there may be more.
            answer: The most tokens of an answer.
            opened: The markers whose opening the prompt ended with.
        """
        if not self.room:
            return answer
        start, size = len(self.opening), len(self.closing)
        if opened is None and tuple(drawn[:start]) != self.opening:
            return max(answer, start)
        ends = range(size, min(self.room, len(drawn)) + 1)
        closed = (end for end in ends if tuple(drawn[end - size : end]) == self.closing)
        return next((end + answer for end in closed), self.room)

    def _written(self, drawn: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of tokens with special ones, and the places in it of all others."""
        runs: list[tuple[bool, list[int]]] = []
        for token in drawn:
            special = token in self.special_ids
            if runs and runs[-1][0] == special:
                runs[-1][1].append(token)
            else:
                runs.append((special, [token]))
        text, plain = "", []
        for special, ids in runs:
            start, text = len(text), text + self.tokenizer.decode(ids)
            if not special:
                plain.append((start, len(text)))
        return text, plain

    @cached_property
    def special_ids(self) -> frozenset[int]:
        """The special tokens."""
        added = self.tokenizer.added_tokens_decoder.items()
        return frozenset(self.tokenizer.all_special_ids) | {
            number for number, token in added if token.special
        }

    @cached_property
    def closing(self) -> tuple[int, ...]:
        """The tokens that end the reasoning; none where the model does not reason."""
        return tuple(self.tokens(self.markers.closing)) if self.markers else ()

    @cached_property
    def opening(self) -> tuple[int, ...]:
        """The tokens that begin the reasoning; none where the model does not reason."""
        return tuple(self.tokens(self.markers.opening)) if self.markers else ()


def _remedy(messages: Sequence[Message]) -> str:
    """What to do about a conversation that a template refuses."""
    roles = [message["role"] for message in messages]
    if "system" in roles:
        return "; write dialogues.system_as: user, which puts it into the first user turn"
    if any(first == second for first, second in pairwise(roles)):
        return "; it has two turns of one role in a row"
    return ""


def _switch(on: bool) -> dict[str, bool]:
    """The names that chat templates have for whether to reason; a template ignores others'."""
    return {"enable_thinking": on, "thinking": on}


def markers_of(tokenizer: Any) -> Markers | None:
    """What a model writes around its reasoning: what its template names, or has a token for."""
    template = tokenizer.chat_template
    texts = template if isinstance(template, str) else " ".join((template or {}).values())
    for markers in MARKERS:
        if markers.in_text(texts):
            return markers
    vocabulary = tokenizer.get_added_vocab()
    return next((each for each in MARKERS if each.opening in vocabulary), None)


def generation_config(folder: Path) -> Any:
    """How a staged model generates, from its generation_config.json or its config."""
    from transformers import AutoConfig, GenerationConfig

    if (folder / "generation_config.json").is_file():
        return GenerationConfig.from_pretrained(folder)
    return GenerationConfig.from_model_config(
        AutoConfig.from_pretrained(folder, trust_remote_code=False)
    )


def end_tokens(generation: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens by which a model ends its turn."""
    configured = generation.eos_token_id
    ends = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ends, tokenizer.eos_token_id] if token is not None)
