"""A real server that gives log-probabilities: llama.cpp's, on the GGUF file as it is."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from wim.engines.answers import ReadChoices
from wim.engines.base import Request
from wim.engines.remote.engine import EndpointEngine
from wim.engines.staged import StagedModel
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.structured import NUMBERS
from wim.models.sources import fetch
from wim.models.stage import stage_model
from wim.settings.models import DEMO_MODELS, ModelSource
from wim.settings.sampling import Sampling
from wim.tables.schemas import Message

for module in ("llama_cpp", "llama_cpp.server", "uvicorn"):
    pytest.importorskip(module, reason="llama-cpp-python[server] is not installed")

GREEDY = Sampling(max_new_tokens=16, temperature=0)


@pytest.fixture(scope="module")
def engine(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredEngine]:
    """SmolLM2 behind llama.cpp's server, known by the manifest of its staged folder."""
    work = tmp_path_factory.mktemp("llama_cpp")
    gguf = fetch(DEMO_MODELS["smollm2"].source, work).path
    model = ModelSource.model_validate(
        {
            "source": f"path:{smollm2}",
            "serve": f"python -m llama_cpp.server --model {gguf} --host 127.0.0.1 --port {{port}}"
            " --n_ctx 2048 --logits_all true",
            "api": {"timeout": 600, "start_timeout": 600, "requests_in_flight": 1},
        }
    )
    stage_model(model, work / "model")
    manifest, log = work / "model/manifest.json", work / "server.log"
    with open_engine(StagedModel(manifest, model, work / "store", server_log=log)) as engine:
        yield engine


def test_it_answers_in_words(engine: StoredEngine) -> None:
    question = Request("k", ({"role": "user", "content": "Name a river."},))
    (answer,) = engine.generate([question], GREEDY)
    assert "river" in answer.text
    assert answer.prompt_tokens > 0


def test_the_judges_number_comes_from_its_log_probabilities(engine: StoredEngine) -> None:
    messages: list[Message] = [{"role": "user", "content": "Rate a good cake from 1 to 10."}]
    question = Request("n", tuple(messages), opening="Rating:")
    (answer,) = engine.choice_logprobs([question], NUMBERS)
    assert isinstance(answer, ReadChoices)
    assert isinstance(engine.model, EndpointEngine)
    assert engine.model.chooser.gives_logprobs is True
    assert answer.source == "logprobs"
    assert answer.logprobs and sum(map(math.exp, answer.logprobs)) > 0.1
