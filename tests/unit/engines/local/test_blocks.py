"""The beginnings of texts that are read once: no bit changes, and what they save."""

import random
from pathlib import Path

import pytest
import torch

from wim.engines.base import Request
from wim.engines.local.blocks import BLOCK, MOST_BYTES, ReadBlocks
from wim.engines.local.engine import LocalEngine
from wim.engines.local.forward import forward
from wim.settings.sampling import Sampling

LENGTHS = [1, 2, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 1, 5 * BLOCK + 7, 300]


@pytest.fixture(scope="module")
def engine(tiny_model: Path) -> LocalEngine:
    return LocalEngine(tiny_model, "float32")


def texts(engine: LocalEngine) -> list[list[int]]:
    """Token sequences of all lengths, each the beginning of the next up to some place."""
    draw = random.Random(0)
    vocabulary = engine.model.config.vocab_size
    longest = [draw.randrange(vocabulary) for _ in range(max(LENGTHS))]
    found = []
    for length in LENGTHS:
        own = draw.randrange(length)
        found.append(longest[:own] + [draw.randrange(vocabulary) for _ in range(length - own)])
        found.append(longest[:length])
    return found


def size_of_a_block(engine: LocalEngine) -> int:
    blocks = ReadBlocks(engine.model, "cpu")
    blocks.read(list(range(BLOCK)))
    return MOST_BYTES - blocks._room


@pytest.mark.parametrize("kept", [0, 1, 4, 1000])
@pytest.mark.parametrize("order", [0, 1, 2])
def test_what_was_read_before_changes_no_bit(engine: LocalEngine, kept: int, order: int) -> None:
    rows = texts(engine)
    alone = [ReadBlocks(engine.model, "cpu").read(row).logits for row in rows]
    blocks = ReadBlocks(engine.model, "cpu", kept * size_of_a_block(engine))
    places = list(range(len(rows))) * 2
    random.Random(order).shuffle(places)
    for place in places:
        blocks.begin_round()
        assert torch.equal(blocks.read(rows[place]).logits, alone[place])


def test_a_text_read_in_blocks_has_the_logits_of_one_pass(engine: LocalEngine) -> None:
    blocks = ReadBlocks(engine.model, "cpu")
    for row in texts(engine):
        with torch.inference_mode():
            whole = forward(engine.model, torch.tensor([row])).logits[:, -1]
        torch.testing.assert_close(blocks.read(row).logits, whole, atol=1e-4, rtol=1e-4)


def test_a_beginning_is_read_once(engine: LocalEngine) -> None:
    blocks = ReadBlocks(engine.model, "cpu")
    beginning = list(range(2 * BLOCK))
    for own in range(3):
        blocks.read([*beginning, *range(own, own + BLOCK + 5)])
    # Two blocks that are shared, and one of each text with its end.
    assert blocks.passes == 2 + 3 * 2


def test_a_text_is_read_once(engine: LocalEngine) -> None:
    blocks = ReadBlocks(engine.model, "cpu")
    for _ in range(4):
        blocks.read(list(range(2 * BLOCK + 5)))
    assert blocks.passes == 3


def test_a_row_that_is_continued_leaves_what_is_kept_as_it_is(engine: LocalEngine) -> None:
    blocks = ReadBlocks(engine.model, "cpu")
    text = list(range(BLOCK + 5))
    first = blocks.read(text)
    before = first.logits.clone()
    first.advance(torch.tensor([7]))
    first.lookahead([1, 2])
    assert torch.equal(blocks.read(text).logits, before)
    assert not torch.equal(first.logits, before)


def test_texts_that_do_not_all_fit_are_found_again_as_far_as_they_did(engine: LocalEngine) -> None:
    size = size_of_a_block(engine)
    blocks = ReadBlocks(engine.model, "cpu", 3 * size + size // 2)
    rows = [[own] * BLOCK for own in range(5)]
    others = [[own + 5] * BLOCK for own in range(5)]
    passes = []
    for some in (rows, rows, rows, others, others, others):
        blocks.begin_round()
        before = blocks.passes
        for row in some:
            blocks.read(row)
        passes.append(blocks.passes - before)
    # In the first round over the others, those before may still be asked for.
    assert passes == [5, 2, 2, 5, 5, 2]


def test_a_judges_number_is_read_behind_its_critiques_prompt(engine: LocalEngine) -> None:
    assert engine.blocks is not None
    asked = {"role": "user", "content": "What is missing? " * 30}
    answer = {"role": "assistant", "content": "A date."}
    number = {"role": "user", "content": "How good is it?"}
    (first,) = engine.generate([Request("a", (asked,))], Sampling(max_new_tokens=2))
    before = engine.blocks.passes
    (found,) = engine.choice_logprobs([Request("a", (asked, answer, number))], ["1", "2"])
    # All but the whole blocks of the first conversation.
    read = first.prompt_tokens // BLOCK
    assert engine.blocks.passes - before == -(-found.prompt_tokens // BLOCK) - read > 0 < read


def test_memory_is_counted_back(engine: LocalEngine) -> None:
    size = size_of_a_block(engine)
    blocks = ReadBlocks(engine.model, "cpu", 2 * size)
    for own in range(20):
        blocks.begin_round()
        blocks.begin_round()
        blocks.read([own] * (2 * BLOCK))
        assert len(blocks._blocks) == 2
        assert blocks._room + sum(block.size for block in blocks._blocks.values()) == 2 * size
