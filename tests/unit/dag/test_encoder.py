"""A model that is no sentence encoder is refused before a run, as its vectors order nothing."""

import json
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY
from wim.dag.encoder import check_encoder, warnings_of_encoder
from wim.dag.inputs import Inputs
from wim.errors import UserError
from wim.settings.load import load_config


def run_with(encoder: Path, kind: str = "mixture") -> Inputs:
    reward = {"judge": "smollm2", "zeta": 1.0} if kind == "mixture" else {"kind": kind}
    sections = {
        "models": {"enc": {"source": f"path:{encoder}"}},
        "embeddings": {"encoder": "enc"},
        "rewards": {"w": {"judge": "smollm2", **reward}},
        "arms": {"w": {"reward": "w"}},
    }
    return Inputs(load_config(sections), REPOSITORY)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_model_that_generates_text_is_no_encoder(tiny_model: Path, here: Path) -> None:
    with pytest.raises(
        UserError, match=r"embeddings\.encoder: found 'enc', a model that generates"
    ):
        check_encoder(run_with(tiny_model))
    check_encoder(run_with(tiny_model, kind="length"))


def test_a_model_that_is_staged_is_looked_at_there(minilm: Path, here: Path) -> None:
    (here / "results/models/enc").mkdir(parents=True)
    config = here / "results/models/enc/config.json"
    config.write_text(json.dumps({"architectures": ["Qwen3ForCausalLM"]}))
    with pytest.raises(
        UserError, match=r"\(Qwen3ForCausalLM\), and results/models/enc has no modu"
    ):
        check_encoder(run_with(minilm))
    (here / "results/models/enc/modules.json").write_text("[]")
    check_encoder(run_with(minilm))
    assert warnings_of_encoder(run_with(minilm)) == []


def test_an_encoder_that_names_no_pooling_is_a_warning(minilm: Path, here: Path) -> None:
    found = run_with(minilm)
    check_encoder(found)
    assert warnings_of_encoder(found) == []
    (here / "plain").mkdir()
    (here / "plain/config.json").write_text(json.dumps({"architectures": ["BertModel"]}))
    check_encoder(run_with(here / "plain"))
    (said,) = warnings_of_encoder(run_with(here / "plain"))
    assert (
        "plain has no modules.json, so a text's vector is the mean of its tokens' vectors" in said
    )
