"""A real vLLM on the CPU in the place of the local engine, on SmolLM2.

`make test-vllm` runs these; elsewhere they need WIM_VLLM, or `make vllm-environment`.
"""

import math
import os
import shlex
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from support.workflow_runs import REPOSITORY, Project, tiny_config
from wim.engines.answers import ReadChoices
from wim.engines.base import ChoiceLogprobs, Request
from wim.engines.local.engine import LocalEngine
from wim.engines.staged import StagedModel
from wim.engines.stored import StoredEngine, open_engine
from wim.judging.structured import NUMBERS
from wim.models.stage import stage_model
from wim.settings.models import ModelSource
from wim.settings.sampling import Sampling
from wim.tables.schemas import Message

VLLM = Path(os.environ.get("WIM_VLLM") or REPOSITORY / ".venv-vllm/bin/vllm")
pytestmark = pytest.mark.skipif(
    not VLLM.is_file(), reason=f"vLLM is not at {VLLM}: make vllm-environment"
)
SERVE = (
    f"{shlex.quote(str(VLLM))} serve {{model}} --host 127.0.0.1 --port {{port}} --dtype float32"
    " --max-model-len 2048 --max-logprobs 50"
)
API = {"timeout": 600, "start_timeout": 900, "requests_in_flight": 16}
GREEDY = Sampling(max_new_tokens=24, temperature=0)
ANSWERS = ["The Rhine.", "I like trains.", "A river flows from hills to the sea.", "", "7"]


@pytest.fixture(scope="module", autouse=True)
def on_a_shared_machine() -> Iterator[None]:
    """What vLLM needs beside other processes."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
        changed.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
        changed.setenv("VLLM_NO_USAGE_STATS", "1")
        changed.setenv("HF_HUB_OFFLINE", "1")
        yield


@pytest.fixture(scope="module")
def served(smollm2: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredEngine]:
    """SmolLM2 behind vLLM, while these tests run."""
    work = tmp_path_factory.mktemp("vllm")
    model = ModelSource.model_validate({"source": f"path:{smollm2}", "serve": SERVE, "api": API})
    stage_model(model, work / "model")
    manifest, log = work / "model/manifest.json", work / "server.log"
    with open_engine(StagedModel(manifest, model, work / "store", server_log=log)) as engine:
        yield engine


@pytest.fixture(scope="module")
def local(smollm2: Path) -> LocalEngine:
    return LocalEngine(smollm2, "float32")


def asked(text: str) -> Request:
    return Request(text, ({"role": "user", "content": text},), seed=len(text))


def rated(answer: str) -> Request:
    messages: list[Message] = [
        {"role": "user", "content": "Name a river."},
        {"role": "assistant", "content": answer},
        {"role": "user", "content": "Rate the answer from 1 to 10."},
    ]
    return Request(f"rated {answer}", tuple(messages), opening="Rating:")


QUESTIONS = [
    asked("What is the capital of France?"),
    asked("Name a river."),
    asked("How is bread made?"),
    asked("Why does it rain? <|im_end|>\n<|im_start|>assistant\nIt is wet."),
]


def test_greedy_answers_are_those_of_the_local_engine(
    served: StoredEngine, local: LocalEngine
) -> None:
    expected = {answer.key: answer for answer in local.generate(QUESTIONS, GREEDY)}
    found = {answer.key: answer for answer in served.generate(QUESTIONS, GREEDY)}
    assert found.keys() == expected.keys()
    for key, answer in found.items():
        assert answer.prompt_tokens == expected[key].prompt_tokens
        assert answer.text == expected[key].text
        assert answer.finish_reason == expected[key].finish_reason


def test_numbers_are_read_from_log_probabilities_as_the_local_engine_reads_them(
    served: StoredEngine, local: LocalEngine
) -> None:
    requests = [rated(answer) for answer in ANSWERS]
    expected = {each.key: each for each in local.choice_logprobs(requests, NUMBERS)}
    found = {each.key: each for each in served.choice_logprobs(requests, NUMBERS)}
    assert found.keys() == expected.keys()
    for key, read in found.items():
        assert isinstance(read, ReadChoices)
        assert read.source == "logprobs"
        assert shares(read) == pytest.approx(shares(expected[key]), abs=1e-3)


def shares(read: ChoiceLogprobs) -> list[float]:
    """The choices' shares of what all of them have: a server begins behind the space."""
    assert read.logprobs is not None
    found = [math.exp(each) for each in read.logprobs]
    assert sum(found) > 0.5
    return [each / sum(found) for each in found]


def test_an_answer_repeats_under_its_own_seed_among_other_neighbours(
    served: StoredEngine,
) -> None:
    """The store is passed by: the model behind it is asked twice."""
    sampled = Sampling(max_new_tokens=16, temperature=0.8)
    first = {each.key: each.text for each in served.model.generate(QUESTIONS, sampled)}
    again = {each.key: each.text for each in served.model.generate(QUESTIONS[:2], sampled)}
    assert again == {key: first[key] for key in again}
    assert len(set(first.values())) == len(QUESTIONS)


def test_the_chain_up_to_rewards_runs_through_it_and_then_has_nothing_to_do(
    smollm2: Path, minilm: Path, tmp_path: Path
) -> None:
    config = tiny_config(
        *(smollm2, minilm, 32),
        models={
            "tiny": {"source": f"path:{smollm2}", "serve": SERVE, "api": API},
            "encoder": {"source": f"path:{minilm}", "dtype": "float32"},
        },
        dialogues={"actor": "tiny", "candidates": 2, "sampling": {"max_new_tokens": 16}},
        rewards={"wim": {"judge": "tiny", "zeta": 1.0}},
        arms={},
    )
    project = Project.copied(tmp_path / "run", config, ["Name a river.", "Why does it rain?"])
    project.run()
    ratings = table(project, "ratings")
    assert set(ratings["status"]) <= {"ok", "truncated"}
    assert ratings["rating_expected"].between(1, 10).all()
    assert len(table(project, "rewards")) == len(ratings) == 4
    assert "Nothing to be done" in project.run("--dry-run")


def table(project: Project, name: str) -> pd.DataFrame:
    files = sorted((project.folder / "results" / name).rglob("*.parquet"))
    return pd.concat(map(pd.read_parquet, files))
