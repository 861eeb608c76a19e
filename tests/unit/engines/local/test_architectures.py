"""Every causal architecture: what is written in batches is what `generate` writes of a row alone."""

import random
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from support.small_architectures import model_types, word_tokenizer, write_small_model
from wim.engines.base import Request
from wim.engines.local.decoder import Batching
from wim.engines.local.engine import LocalEngine
from wim.engines.local.forward import forward
from wim.errors import UserError
from wim.settings.sampling import Sampling

GREEDY = Sampling(temperature=0, max_new_tokens=8)
CHOICES = ["w10", "w11 w12", "w13 w14 w15"]
# The beginning that all rows share is longer than a window of 16, and so is each row.
SHARED, OWN = 22, (1, 4, 7, 13, 20, 2, 9, 3, 5, 18)


def requests() -> list[Request]:
    draw = random.Random(0)
    words = [f"w{draw.randrange(20, 64)}" for _ in range(SHARED)]
    rows = [[*words, *(f"w{draw.randrange(20, 64)}" for _ in range(own))] for own in OWN]
    return [
        Request(str(place), ({"role": "user", "content": " ".join(row)},))
        for place, row in enumerate(rows)
    ]


@pytest.fixture
def _tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every model the same tokenizer, whatever its type's own is."""
    from transformers import AutoTokenizer

    tokenizer = word_tokenizer()
    monkeypatch.setattr(AutoTokenizer, "from_pretrained", lambda *args, **named: tokenizer)


def by_generate(engine: LocalEngine) -> dict[str, tuple[int, ...]]:
    """The tokens that transformers' own generation writes, row by row."""
    from transformers import GenerationConfig

    # Some types of translators come with forced tokens.
    engine.model.generation_config = GenerationConfig(
        do_sample=False,
        max_new_tokens=GREEDY.max_new_tokens,
        eos_token_id=sorted(engine.chat.ends),
        pad_token_id=0,
    )
    found = {}
    for request in requests():
        row = torch.tensor([engine.chat.tokenizer(request.messages[0]["content"])["input_ids"]])
        output = engine.model.generate(row, attention_mask=torch.ones_like(row))
        said = output[0, row.shape[1] :].tolist()
        ends = [place for place, token in enumerate(said) if token in engine.chat.ends]
        found[request.key] = tuple(said[: ends[0] + 1] if ends else said)
    return found


def by_whole_passes(engine: LocalEngine) -> dict[str, list[float]]:
    """Log-probabilities of the choices, each by a pass over the row and the choice."""
    found = {}
    for request in requests():
        row, found[request.key] = (
            engine.chat.tokenizer(request.messages[0]["content"])["input_ids"],
            [],
        )
        for choice in CHOICES:
            tokens = engine.chat.tokenizer(choice)["input_ids"]
            with torch.inference_mode():
                whole = torch.tensor([row + tokens])
                logits = forward(engine.model, whole, use_cache=False).logits[0].float()
            before = logits[len(row) - 1 : -1].log_softmax(-1)
            found[request.key].append(float(before[range(len(tokens)), tokens].double().sum()))
    return found


def outcome(model_type: str, folder: Path) -> str:
    """Whether a type is equal, refused, different, or not built, and why."""
    try:
        write_small_model(model_type, folder)
    except Exception as error:  # noqa: BLE001, what cannot be built is listed
        return f"not built: {_line(error)}"
    try:
        engine = LocalEngine(folder, "float32", 1)
    except UserError as error:
        return f"refused: {_line(error).partition(': ')[2]}"
    texts, numbers = by_generate(engine), by_whole_passes(engine)
    alone, furthest = engine.batching in (Batching.ALONE, Batching.UNCACHED), 0.0
    for batch_size in (1, 4, 10):
        # Four at a time with others joining, where the model can.
        engine.batch_size, engine.continuous = 1 if alone else batch_size, batch_size == 4
        engine.choices_alone = False
        said = {each.key: each.tokens for each in engine.generate(requests(), GREEDY)}
        if said != texts:
            equal = sum(said[key] == texts[key] for key in texts)
            return f"different: {equal} of {len(texts)} rows at batch {batch_size}"
        for each in engine.choice_logprobs(requests(), CHOICES):
            assert each.logprobs is not None
            wanted = numbers[each.key]
            furthest = max(
                furthest, *(abs(a - b) for a, b in zip(each.logprobs, wanted, strict=True))
            )
        if furthest > 1e-3:
            return f"different: log-probabilities by {furthest:.2g} at batch {batch_size}"
    return f"equal: {engine.batching.name.lower()}, log-probabilities within {furthest:.0e}"


def _line(error: Exception) -> str:
    text = str(error).strip()
    return " ".join(
        (text if isinstance(error, UserError) else f"{type(error).__name__}: {text}").split()
    )[:300]


@pytest.mark.parametrize(
    "model_type",
    [
        *("llama", "bloom", "mistral", "gemma2", "gemma3", "gpt_oss", "gpt_neo", "llama4"),
        *("qwen3_5", "lfm2", "jamba", "falcon_h1", "mamba", "recurrent_gemma", "bart", "rwkv"),
    ],
)
def test_a_kind_of_each_says_what_generate_says(
    _tokenizer: None, tmp_path: Path, model_type: str
) -> None:
    assert outcome(model_type, tmp_path).startswith("equal")


@pytest.mark.slow
def test_batches_say_what_generate_says_in_every_architecture(
    _tokenizer: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {}
    for model_type in model_types():
        found[model_type] = outcome(model_type, tmp_path / model_type)
        with capsys.disabled():
            print(f"{model_type}: {found[model_type]}")
        shutil.rmtree(tmp_path / model_type, ignore_errors=True)
    # What cannot be built: encoders of images, drafts for other models, and music.
    not_built = {name for name, line in found.items() if line.startswith("not built")}
    assert not_built <= {"gemma3n", "gemma4_assistant", "musicgen", "musicgen_melody"}
    kinds = Counter(line.partition(":")[0] for line in found.values())
    with capsys.disabled():
        print(dict(kinds))
    assert not {name: line for name, line in found.items() if line.startswith("different")}
