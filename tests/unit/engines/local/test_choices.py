"""How likely an answer begins with one of a few texts, against a plain forward pass."""

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch

from wim.engines.base import Request
from wim.engines.local.choices import choice_tree
from wim.engines.local.engine import LocalEngine

NUMBERS = tuple(f" {number}" for number in range(1, 11))
TOLERANCE = 1e-4
# Logits in float32 are rounded relative to their size, and an error of the largest moves the
# log-probabilities of all. The least likely choice tells how far the logits are apart.
RELATIVE = 1e-5


def ask(key: str, text: str, opening: str = "") -> Request:
    return Request(key, ({"role": "user", "content": text},), opening=opening)


# Of unequal length, with a shared beginning and without.
ALIKE = [
    ask("a", "Rate this answer: no."),
    ask(
        "b",
        "Rate this answer: The capital of France is Paris, on the Seine, since the tenth century.",
    ),
    ask("c", "Rate this answer: Paris. " * 20),
]
UNLIKE = [
    Request(
        "s", ({"role": "system", "content": "You are terse."}, {"role": "user", "content": "Hi"})
    ),
    ask("u", "Why does bread go stale faster in the fridge than on the counter?"),
    ask("o", "Rate bread."),
]
RATED = [
    ask("r", "Rate bread.", opening="Rating:"),
    ask("s", "Why does bread go stale faster in the fridge?", opening="Rating:"),
]


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> LocalEngine:
    return in_batches(tiny_model)


@pytest.fixture(scope="module")
def smol(smollm2: Path) -> LocalEngine:
    return in_batches(smollm2)


def in_batches(folder: Path) -> LocalEngine:
    """An engine that reads prompts as on a GPU."""
    engine = LocalEngine(folder, "float32")
    engine.choices_alone, engine.blocks = False, None
    return engine


def begins(model: Any, prompt: list[int], choice: list[int]) -> float:
    """Log-probability of the choice's tokens after the prompt's, by one plain forward pass."""
    with torch.inference_mode():
        logits = model(torch.tensor([prompt + choice])).logits[0].double().log_softmax(-1)
    places = range(len(prompt) - 1, len(prompt) + len(choice) - 1)
    return sum(logits[place, token].item() for place, token in zip(places, choice, strict=True))


def brute_force(engine: LocalEngine, request: Request, choices: Sequence[str]) -> list[float]:
    """Log-probabilities of the choices, each less those that go on from it."""
    chat = engine.chat.tokenizer.apply_chat_template(
        list(request.messages), tokenize=False, add_generation_prompt=True
    )
    encode: Callable[[str], list[int]] = lambda text: engine.chat.tokenizer(  # noqa: E731
        text, add_special_tokens=False
    )["input_ids"]
    prompt = encode(chat + request.opening)
    tokens = [encode(chat + request.opening + choice)[len(prompt) :] for choice in choices]
    logprobs = [begins(engine.model, prompt, choice) for choice in tokens]
    found = []
    for choice, logprob in zip(tokens, logprobs, strict=True):
        longer = sum(
            math.exp(other)
            for name, other in zip(tokens, logprobs, strict=True)
            if len(name) > len(choice) and name[: len(choice)] == choice
        )
        found.append(math.log(math.exp(logprob) - longer) if longer else logprob)
    return found


def by_key(
    engine: LocalEngine, requests: Sequence[Request], choices: Sequence[str]
) -> dict[str, list[float]]:
    answers = engine.choice_logprobs(requests, choices)
    return {answer.key: list(answer.logprobs or ()) for answer in answers}


def check(engine: LocalEngine, requests: Sequence[Request], choices: Sequence[str]) -> None:
    found = by_key(engine, requests, choices)
    assert sorted(found) == sorted(request.key for request in requests)
    for request in requests:
        expected = brute_force(engine, request, choices)
        rounding = TOLERANCE + RELATIVE * max(map(abs, expected))
        for choice, one, other in zip(choices, found[request.key], expected, strict=True):
            # What is left of a probability when longer choices are taken off is as uncertain as
            # the whole was, so its logarithm is by that factor more so; without any, by 1.
            begun = sum(
                math.exp(value)
                for each, value in zip(choices, expected, strict=True)
                if each.startswith(choice)
            )
            assert one == pytest.approx(other, abs=rounding * begun / math.exp(other))


MIXED = ["Nothing", "Nothing is missing", "Nothing is", "No", "Paris is"]


@pytest.mark.parametrize(
    ("requests", "choices"),
    [
        pytest.param(ALIKE, ["Yes", "No"], id="one token"),
        pytest.param(ALIKE, ["Nothing is missing"], id="several tokens"),
        pytest.param(ALIKE, ["1", "10"], id="one the beginning of another"),
        pytest.param(ALIKE, MIXED, id="of all lengths"),
        pytest.param(UNLIKE, MIXED, id="of all lengths, prompts with nothing in common"),
        pytest.param(ALIKE[:1], MIXED, id="of all lengths, one prompt"),
        pytest.param(RATED, NUMBERS, id="the ratings"),
        pytest.param(RATED[:1], NUMBERS, id="the ratings, one prompt"),
    ],
)
def test_choices_have_the_probabilities_of_a_plain_forward_pass(tiny, requests, choices) -> None:
    check(tiny, requests, choices)


@pytest.mark.parametrize(
    ("requests", "choices"),
    [
        pytest.param(ALIKE[:2], ["Paris", "Nothing is missing"], id="alike"),
        pytest.param(UNLIKE, ["No", "Nothing is missing"], id="nothing in common"),
        pytest.param(RATED, [" 1", " 7", " 10"], id="ratings"),
    ],
)
def test_choices_of_a_real_model_have_the_probabilities_of_a_plain_forward_pass(
    smol, requests, choices
) -> None:
    check(smol, requests, choices)


def test_the_neighbours_in_a_batch_do_not_matter(tiny: LocalEngine) -> None:
    together = by_key(tiny, [*ALIKE, *UNLIKE], MIXED)
    for request in [*ALIKE, *UNLIKE]:
        alone = by_key(tiny, [request], MIXED)
        assert together[request.key] == pytest.approx(alone[request.key], abs=TOLERANCE)


def test_on_a_cpu_the_neighbours_change_no_bit(tiny_model: Path) -> None:
    requests = [*ALIKE, *UNLIKE]
    engines = [LocalEngine(tiny_model, "float32", batch_size=size) for size in (1, 32)]
    one, other = (by_key(engine, requests, MIXED) for engine in engines)
    assert one == other == by_key(engines[1], requests[::-1], MIXED)
    assert all(by_key(engines[1], [each], MIXED) == {each.key: one[each.key]} for each in requests)


def test_equal_prompts_have_equal_probabilities(tiny: LocalEngine) -> None:
    found = by_key(tiny, [ask("1", "Hi"), ask("2", "Hi"), ask("3", "Hello there")], NUMBERS)
    assert found["1"] == pytest.approx(found["2"], abs=TOLERANCE)
    assert found["1"] != pytest.approx(found["3"], abs=TOLERANCE)


def test_ratings_exclude_each_other(tiny: LocalEngine) -> None:
    for logprobs in by_key(tiny, ALIKE, NUMBERS).values():
        assert all(value < 0 for value in logprobs)
        assert sum(math.exp(value) for value in logprobs) < 1


def test_a_prompt_that_leaves_no_room_for_a_choice_has_no_probabilities(tiny: LocalEngine) -> None:
    requests = [ask("long", "word " * 1100), *ALIKE]
    answers = {answer.key: answer for answer in tiny.choice_logprobs(requests, NUMBERS)}
    assert answers["long"].logprobs is None
    assert answers["long"].prompt_tokens > tiny.context
    assert all(answers[request.key].logprobs is not None for request in ALIKE)


def test_no_requests_have_no_answers(tiny: LocalEngine) -> None:
    assert list(tiny.choice_logprobs([], NUMBERS)) == []


class Chain:
    """A toy language model of 4 tokens: the next token's chances depend on the last one."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.calls: list[list[int]] = []
        draw = torch.Generator().manual_seed(0)
        self.root = torch.randn(rows, 4, generator=draw).double()
        self.step = torch.randn(rows, 4, 4, generator=draw).double()

    def lookahead(self, tokens: list[int]) -> torch.Tensor:
        self.calls.append(tokens)
        return torch.stack([self.step[:, token] for token in tokens], dim=1)

    def chance(self, row: int, choice: Sequence[int]) -> float:
        value = self.root[row].softmax(-1)[choice[0]].item()
        for before, token in pairwise(choice):
            value *= self.step[row, before].softmax(-1)[token].item()
        return value


def test_a_tree_gives_each_choice_the_chance_that_no_longer_one_follows() -> None:
    model = Chain(3)
    tree = choice_tree([[0], [0, 1], [0, 1, 2], [0, 2], [1], [2, 3, 3]])
    found = tree.logprobs(model.root, model.lookahead).exp()
    for row in range(3):
        c = lambda *choice: model.chance(row, choice)  # noqa: B023, E731
        # [0] goes on to [0, 1] or [0, 2]; the chance of [0, 1, 2] is within that of [0, 1].
        expected = [
            c(0) - c(0, 1) - c(0, 2),
            c(0, 1) - c(0, 1, 2),
            c(0, 1, 2),
            c(0, 2),
            c(1),
            c(2, 3, 3),
        ]
        assert found[row].tolist() == pytest.approx(expected, abs=1e-9)


def test_a_tree_runs_each_branch_once_and_none_that_lies_within_another() -> None:
    model = Chain(1)
    choice_tree([[0], [0, 1], [0, 1, 2], [0, 2], [2, 3]]).logprobs(model.root, model.lookahead)
    assert model.calls == [[0, 1], [2]]
    assert choice_tree([[0], [1]]).branches == []


def test_the_chances_of_all_texts_of_two_tokens_add_up_to_one() -> None:
    model = Chain(2)
    choices = [[first, second] for first in range(4) for second in range(4)]
    found = choice_tree(choices).logprobs(model.root, model.lookahead).exp()
    assert found.sum(-1).tolist() == pytest.approx([1.0, 1.0])


def test_a_choice_without_tokens_is_an_error() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        choice_tree([[1], []])
