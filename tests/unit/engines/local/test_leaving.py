"""Rows that leave a batch and rows that take their places change no other row, nor copy it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from support.small_architectures import VOCABULARY, word_tokenizer, write_small_model
from wim.engines.base import Request
from wim.engines.local import decoder as decoding
from wim.engines.local import engine as running
from wim.engines.local.cache import RoomyLayer, room_for
from wim.engines.local.decoder import Batching, Decoder
from wim.engines.local.engine import LocalEngine
from wim.engines.local.places import Places
from wim.settings.sampling import Sampling

# Full attention, with positions and with ALiBi; windows; states beside attention.
KINDS = ("llama", "bloom", "mistral", "gemma3", "gpt_oss", "qwen3_5", "lfm2", "jamba")
MOST = 24
SAMPLINGS = {
    "greedy": Sampling(temperature=0, max_new_tokens=MOST),
    "sampled": Sampling(temperature=1.0, top_k=20, max_new_tokens=MOST),
}
ROWS = 17


def engine_of(folder: Path, model_type: str) -> LocalEngine:
    """A small random model that reads rows as on a GPU, and whose answers end at places of their own."""
    from transformers import AutoTokenizer

    write_small_model(model_type, folder)
    tokenizer = word_tokenizer()
    with patch.object(AutoTokenizer, "from_pretrained", lambda *args, **named: tokenizer):
        engine = LocalEngine(folder, "float32", 1)
    engine.blocks = None
    engine.chat.ends = frozenset(range(2, VOCABULARY, 6))
    return engine


def requests(rows: int = ROWS) -> list[Request]:
    """Rows that begin alike and differ in length."""
    draw = random.Random(1)
    begin = [f"w{draw.randrange(20, VOCABULARY)}" for _ in range(5)]
    texts = [
        [*begin, *(f"w{draw.randrange(20, VOCABULARY)}" for _ in range(draw.randrange(1, 40)))]
        for _ in range(rows)
    ]
    return [
        Request(str(place), ({"role": "user", "content": " ".join(text)},), seed=place)
        for place, text in enumerate(texts)
    ]


def tokens_of(
    engine: LocalEngine, rows: list[Request], sampling: Sampling, batch_size: int
) -> dict[str, tuple[int, ...] | None]:
    engine.batch_size = batch_size
    found = list(engine.generate(rows, sampling))
    assert len(found) == len(rows)
    return {each.key: each.tokens for each in found}


@contextmanager
def ended_share(share: float) -> Iterator[None]:
    with patch.dict(decoding.ENDED_SHARE, cpu=share):
        yield


@pytest.mark.parametrize("model_type", KINDS)
def test_rows_that_have_ended_and_stay_for_a_while_change_no_other(
    tmp_path: Path, model_type: str
) -> None:
    engine = engine_of(tmp_path, model_type)
    for sampling in SAMPLINGS.values():
        engine.continuous = False
        alone = tokens_of(engine, requests(), sampling, 1)
        assert len({len(tokens or ()) for tokens in alone.values()}) > 1, "some end before others"
        refilled = (False, True) if engine.batching is Batching.SHARED else (False,)
        for share in (0.25, 1.0):
            for engine.continuous in refilled:
                with ended_share(share):
                    assert tokens_of(engine, requests(), sampling, 6) == alone


def test_what_has_ended_is_neither_sampled_nor_counted(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "llama")
    sampled, passed = [], []
    choose, advance = decoding.choose_tokens, Decoder.advance

    def chosen(logits: torch.Tensor, *given: Any) -> torch.Tensor:
        sampled.append(len(logits))
        return choose(logits, *given)

    def advanced(own: Decoder, tokens: torch.Tensor) -> None:
        advance(own, tokens)
        passed.append((len(own.logits), len(own.mask), int(own.positions.max())))

    with (
        ended_share(0.5),
        patch.object(decoding, "choose_tokens", chosen),
        patch.object(Decoder, "advance", advanced),
    ):
        found = tokens_of(engine, requests(), SAMPLINGS["sampled"], ROWS)
    assert sum(sampled) == sum(len(tokens or ()) for tokens in found.values())
    assert any(rows < places for rows, places, _ in passed)
    assert all(rows * 2 >= places for rows, places, _ in passed)
    # A position after those of the rows would be one that the model may not have.
    longest = max(
        len(engine.chat.tokenizer(each.messages[0]["content"])["input_ids"]) for each in requests()
    )
    assert max(position for *_, position in passed) <= longest + MOST


class Copies(TorchDispatchMode):
    """Notes the bytes that each operation which copies tensors has written."""

    NAMES = ("cat", "index", "index_select", "clone", "copy_", "index_copy_", "gather", "stack")

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0
        self.counts: dict[str, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if name in self.NAMES:
            # index_copy_ writes its source alone.
            written = args[3] if name == "index_copy_" else found
            if written.dim() == 4 and written.shape[-2] > 1:
                self.largest = max(self.largest, written.numel())
                self.counts[name] = self.counts.get(name, 0) + 1
        return found


@pytest.mark.parametrize("continuous", [False, True])
def test_no_row_that_goes_on_is_copied_where_one_ends_or_joins(
    tmp_path: Path, continuous: bool
) -> None:
    engine = engine_of(tmp_path, "llama")
    # Nothing but what is appended, what moves into a gap, and what joins is copied.
    rows, step = 12, 0
    copies: list[int] = []
    buffers: set[int] = set()
    advance, keep = Decoder.advance, Decoder.keep
    with ended_share(0.25):
        alone = tokens_of(engine, requests(), SAMPLINGS["sampled"], 1)
        engine.continuous = continuous

        def counted(own: Decoder, *given: Any, **named: Any) -> Any:
            with Copies() as seen:
                found = keep(own, *given, **named)
            copies.append(seen.largest)
            return found

        def advanced(own: Decoder, tokens: torch.Tensor) -> None:
            nonlocal step
            step += 1
            with Copies() as seen:
                advance(own, tokens)
            layer = own.cache.layers[0]
            assert isinstance(layer, RoomyLayer)
            buffers.add(layer.keys.untyped_storage().data_ptr())
            whole = layer.keys.numel()
            # The whole cache of a layer is read, and no copy of it is made.
            assert seen.largest < whole / 2 or len(own.logits) < 3
            assert not any(seen.counts.get(name) for name in ("cat", "index_select", "index"))

        with patch.object(Decoder, "keep", counted), patch.object(Decoder, "advance", advanced):
            assert tokens_of(engine, requests(), SAMPLINGS["sampled"], rows) == alone
    assert step > MOST // 2
    heads, width = layer_shape(engine)
    whole = rows * heads * width * (45 + MOST)
    assert copies and max(copies) <= whole / 2
    # Twice where there is a second batch.
    assert len(buffers) <= (1 if continuous else 2)


def layer_shape(engine: LocalEngine) -> tuple[int, int]:
    config = engine.model.config
    return config.num_key_value_heads, config.head_dim


def test_a_cache_that_is_full_moves_to_its_beginning_and_rows_say_the_same(tmp_path: Path) -> None:
    engine = engine_of(tmp_path, "llama")
    rows = requests(60)
    alone = tokens_of(engine, rows, SAMPLINGS["sampled"], 1)
    engine.continuous = True
    for room in (1, 8):
        with (
            ended_share(0.25),
            patch.object(running, "REFILL_ROOM", room),
            patch.object(RoomyLayer, "_move", autospec=True, side_effect=RoomyLayer._move) as moves,
        ):
            assert tokens_of(engine, rows, SAMPLINGS["sampled"], 6) == alone
        assert moves.call_count > 2 * len(engine.model.model.layers)


@pytest.mark.parametrize("most", [1, 60, 150])
def test_prompts_that_are_read_in_parts_say_what_they_say_alone(tmp_path: Path, most: int) -> None:
    engine = engine_of(tmp_path, "llama")
    alone = tokens_of(engine, requests(), SAMPLINGS["sampled"], 1)
    read: list[int] = []
    forward = decoding.forward

    def counted(model: Any, tokens: torch.Tensor, **given: Any) -> Any:
        read.append(tokens.numel())
        return forward(model, tokens, **given)

    for engine.continuous in (False, True):
        read.clear()
        with (
            patch.object(running, "PREFILL_TOKENS", most),
            patch.object(decoding, "forward", counted),
        ):
            assert tokens_of(engine, requests(), SAMPLINGS["sampled"], 8) == alone
        longest = max(len(each.messages[0]["content"].split()) for each in requests()) + 4
        assert max(read) <= max(most, longest)


def test_room_that_was_reserved_is_taken_once(tmp_path: Path) -> None:
    layer = RoomyLayer()
    first = torch.randn(3, 2, 5, 4)
    layer.update(first, first)
    layer.reserve(5, 100)
    place = layer.keys.data_ptr()
    for _ in range(95):
        token = torch.randn(3, 2, 1, 4)
        first = torch.cat([first, token], dim=-2)
        layer.update(token, token)
    assert layer.keys.data_ptr() == place
    assert torch.equal(layer.keys, first) and torch.equal(layer.values, first)
    layer.update(token, token)
    assert layer.keys.data_ptr() != place
    assert torch.equal(layer.keys[:, :, :100], first)
    # What was not reserved grows by as much as the text alone decides.
    other = RoomyLayer()
    other.update(first, first)
    assert other.keys.untyped_storage().nbytes() == 3 * 2 * room_for(100) * 4 * 4


def test_places_are_those_of_the_last_rows_and_the_free_ones() -> None:
    places = Places([5, 7, 3, 7, 4], 7)
    assert places.whole and places.leave([0, 2, 4]) == [1, 3]
    assert (places.taken, places.lengths, places.whole) == ([0, 2, 4], [5, 3, 4], False)
    places.tokens += 2
    assert places.take([9, 1, 2]) == [1, 3, 5]
    assert (places.taken, places.count) == ([0, 1, 2, 3, 4, 5], 6)
    assert places.lengths == [7, 9, 5, 1, 6, 2]
    places.leave([1, 4, 5])
    assert places.close_gaps() == {0: 4, 2: 5} and places.whole
    assert places.lengths == [6, 9, 2]
