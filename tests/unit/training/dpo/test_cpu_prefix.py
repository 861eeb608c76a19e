"""A pair in one sequence gives what its two sequences give."""

from typing import Any

import pytest
import torch

from wim.training.dpo.cpu_prefix import _FAMILIES, hidden_states, shares_prefixes

SHAPE = {
    **{"vocab_size": 97, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0},
}
LENGTH = 48
# Prompt, chosen and rejected completion.
PAIRS = [(20, 9, 17), (20, 28, 1), (5, 3, 3), (30, 0, 4), (0, 12, 9)]


def decoder(family: str, **more: Any) -> Any:
    """A small decoder of a family, its weights drawn by a fixed seed."""
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(family, **{**SHAPE, **more})
    torch.manual_seed(0)
    return AutoModel.from_config(config, attn_implementation="sdpa").eval()


def batch() -> dict[str, torch.Tensor]:
    """The pairs as TRL gives them: chosen sequences, then rejected ones, padded on the right."""
    generator = torch.Generator().manual_seed(1)

    def tokens(count: int) -> torch.Tensor:
        return torch.randint(1, 97, (count,), generator=generator)

    chosen, rejected = [], []
    for prompt, first, second in PAIRS:
        shared = tokens(prompt)
        chosen.append(torch.cat([shared, tokens(first)]))
        rejected.append(torch.cat([shared, tokens(second)]))
    rows = [*chosen, *rejected]
    ids = torch.zeros(len(rows), LENGTH, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, sequence in enumerate(rows):
        ids[row, : len(sequence)] = sequence
        mask[row, : len(sequence)] = 1
    return {"input_ids": ids, "attention_mask": mask}


def test_every_family_is_there() -> None:
    from transformers import CONFIG_MAPPING

    assert set(CONFIG_MAPPING) >= _FAMILIES


@pytest.mark.parametrize("family", sorted(_FAMILIES))
def test_hidden_states_and_gradients_are_those_of_the_sequences(family: str) -> None:
    more = {"sliding_window": None} if family in ("mistral", "phi3") else {}
    model, inputs = decoder(family, **more), batch()
    assert shares_prefixes(model.config)
    lengths: list[tuple[int, ...]] = []
    model.layers[0].register_forward_pre_hook(
        lambda _module, given: lengths.append(tuple(given[0].shape[:2]))
    )
    seen = inputs["attention_mask"].bool()
    weights = torch.randn(len(seen), LENGTH, 1, generator=torch.Generator().manual_seed(2))
    found, expected = [], []
    for states, kept in (
        (hidden_states(model, **inputs), found),
        (model(**inputs).last_hidden_state, expected),
    ):
        model.zero_grad()
        (states * weights)[seen].sum().backward()
        kept += [states[seen], *(each.grad.clone() for each in model.parameters())]
    assert lengths[0][0] == len(PAIRS) and lengths[1][0] == 2 * len(PAIRS)
    for mine, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, theirs, atol=5e-4, rtol=1e-3)


def test_a_batch_that_would_grow_is_left_as_it_is() -> None:
    model, lengths = decoder("llama"), []
    model.layers[0].register_forward_pre_hook(
        lambda _module, given: lengths.append(tuple(given[0].shape[:2]))
    )
    ids = torch.tensor([[3, 4, 5], [6, 7, 8]])
    hidden_states(model, ids, torch.ones_like(ids))
    assert lengths == [(2, 3)]


def test_the_second_completion_sees_the_prompt_and_itself() -> None:
    model, given = decoder("llama"), {}

    def note(**inputs: torch.Tensor) -> Any:
        given.update(inputs)
        return model(**inputs)

    inputs = batch()
    one = {name: each[[0, len(PAIRS)]] for name, each in inputs.items()}
    forward = hidden_states(note, **one)
    prompt, *completions = PAIRS[0]
    # Which of the two is the first one in the sequence is decided by their tokens.
    first, second = completions
    if one["input_ids"].tolist() != sorted(one["input_ids"].tolist()):
        first, second = second, first
    positions, start = given["position_ids"][0], prompt + first
    assert positions[:start].tolist() == list(range(start))
    assert positions[start : start + second].tolist() == list(range(prompt, prompt + second))
    sees = given["attention_mask"][0, 0, start]
    assert sees.nonzero()[:, 0].tolist() == [*range(prompt), start]
    sequence = given["input_ids"].clone()
    other_way = {name: each.flip(0) for name, each in one.items()}
    assert torch.equal(hidden_states(note, **other_way), forward.flip(0))
    assert torch.equal(given["input_ids"], sequence)


@pytest.mark.parametrize(
    ("family", "more"),
    [
        ("mistral", {"sliding_window": 16}),
        ("qwen2", {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 0}),
        ("gpt2", {}),
        ("gemma2", {}),
        ("mamba", {}),
    ],
)
def test_other_models_read_the_sequences(family: str, more: dict[str, Any]) -> None:
    from transformers import AutoConfig

    config = AutoConfig.for_model(family, **more)
    config._attn_implementation = "sdpa"
    assert not shares_prefixes(config)


def test_attention_that_takes_no_such_mask_reads_the_sequences() -> None:
    model = decoder("llama")
    model.set_attn_implementation("eager")
    assert not shares_prefixes(model.config)
