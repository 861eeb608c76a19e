"""Contrastive search gives what the paper's formula gives, computed without any cache or batch."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import cosine_similarity

from wim.engines.base import Request
from wim.engines.local.engine import LocalEngine
from wim.errors import UserError
from wim.settings.sampling import Sampling

NEW = 12
SAID = [
    ["Rain falls on the hills."],
    ["Name a river.", "The train leaves at noon.", "And then?"],
    ["Bread needs water, flour and time. What else does it need, and for how long?"],
    ["Why?"],
]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> LocalEngine:
    return LocalEngine(tiny_model, "float32")


def requests() -> list[Request]:
    roles = ("user", "assistant", "user")
    return [
        Request(
            str(number),
            tuple({"role": role, "content": text} for role, text in zip(roles, said, strict=False)),
            seed=number,
        )
        for number, said in enumerate(SAID)
    ]


def by_brute_force(engine: LocalEngine, tokens: list[int], alpha: float, k: int) -> list[int]:
    """The tokens that the formula chooses, every one from whole passes over whole texts."""
    context, drawn = list(tokens), []
    for _ in range(NEW):
        with torch.inference_mode():
            output = engine.model(torch.tensor([context]), output_hidden_states=True)
            probabilities, candidates = output.logits[0, -1].softmax(-1).topk(k)
            said = output.hidden_states[-1][0]
            scores = []
            for probability, candidate in zip(probabilities, candidates, strict=True):
                longer = torch.tensor([[*context, int(candidate)]])
                state = engine.model(longer, output_hidden_states=True).hidden_states[-1][0, -1]
                likeness = cosine_similarity(state[None], said).max()
                scores.append((1 - alpha) * probability - alpha * likeness)
        chosen = int(candidates[int(torch.stack(scores).argmax())])
        context.append(chosen)
        drawn.append(chosen)
        if chosen in engine.chat.ends:
            break
    return drawn


@pytest.mark.parametrize(("alpha", "k"), [(0.6, 4), (0.2, 8), (0.9, 2)])
def test_a_batch_gives_each_row_what_the_formula_gives_it(
    engine: LocalEngine, alpha: float, k: int
) -> None:
    sampling = Sampling(max_new_tokens=NEW, penalty_alpha=alpha, top_k=k)
    found = {answer.key: answer for answer in engine.generate(requests(), sampling)}
    for request in requests():
        expected = by_brute_force(
            engine,
            engine.chat.tokens(engine.chat.prompt(request.messages, request.opening)),
            alpha,
            k,
        )
        answer = found[request.key]
        assert answer.completion_tokens == len(expected)
        ended = expected[-1] in engine.chat.ends
        assert answer.finish_reason == ("stop" if ended else "length")
        said = engine.chat.tokenizer.decode(
            expected[:-1] if ended else expected, skip_special_tokens=True
        )
        assert answer.text == said.strip()


def test_rows_that_end_early_leave_the_others_as_they_are(engine: LocalEngine) -> None:
    sampling = Sampling(max_new_tokens=40, penalty_alpha=0.3, top_k=4)
    together = {each.key: each for each in engine.generate(requests(), sampling)}
    alone = {
        each.key: each for request in requests() for each in engine.generate([request], sampling)
    }
    assert together == alone
    assert len({each.completion_tokens for each in together.values()}) > 1


def test_neither_seed_nor_temperature_matters(engine: LocalEngine) -> None:
    request = requests()[0]
    answers = [
        next(iter(engine.generate([Request("a", request.messages, seed)], sampling)))
        for seed in (1, 2)
        for sampling in (
            Sampling(max_new_tokens=NEW, penalty_alpha=0.6, top_k=4, temperature=temperature)
            for temperature in (0.0, 1.3)
        )
    ]
    assert len({answer.text for answer in answers}) == 1


def test_it_repeats_itself_less_than_the_most_likely_tokens_do(engine: LocalEngine) -> None:
    def repeats(sampling: Sampling) -> float:
        words = [each.text.split() for each in engine.generate(requests(), sampling)]
        return sum(1 - len(set(said)) / max(1, len(said)) for said in words)

    greedy = Sampling(max_new_tokens=60, temperature=0)
    assert repeats(Sampling(max_new_tokens=60, penalty_alpha=0.6, top_k=6)) < repeats(greedy)


def test_one_candidate_is_refused_with_what_to_write() -> None:
    with pytest.raises(ValueError, match="top_k: 4"):
        Sampling(penalty_alpha=0.6, top_k=1)


def test_a_model_with_sliding_windows_is_refused(tmp_path: Path, tiny_model: Path) -> None:
    from transformers import AutoTokenizer, MistralConfig, MistralForCausalLM

    config = MistralConfig(
        vocab_size=49152,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        sliding_window=8,
        max_position_embeddings=512,
    )
    MistralForCausalLM(config).save_pretrained(tmp_path / "model")
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "model")
    engine = LocalEngine(tmp_path / "model", "float32")
    with pytest.raises(UserError, match="sliding windows"):
        list(engine.generate(requests()[:1], Sampling(penalty_alpha=0.6, top_k=4)))


def test_the_penalty_is_in_keys_and_specs_only_where_it_is_used() -> None:
    assert "penalty_alpha" not in Sampling().model_dump(mode="json")
    assert Sampling(penalty_alpha=0.5).model_dump(mode="json")["penalty_alpha"] == 0.5
    assert Sampling().random and not Sampling(penalty_alpha=0.5).random
