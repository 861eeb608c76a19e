"""The KL divergence between two models on a text, against its definition."""

import json
from pathlib import Path

import pytest
import torch

from support.builders import candidate
from wim.engines.staged import StagedModel
from wim.settings.models import ModelSource
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES
from wim.training.measure_kl import divergences, measure_kl


class Fixed:
    """A model that gives the same logits whatever it reads."""

    device = "cpu"

    def __init__(self, logits: torch.Tensor) -> None:
        self.logits = logits[None]

    def __call__(self, input_ids: torch.Tensor) -> "Fixed":
        return self


def test_both_directions_are_those_of_the_definition() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = (torch.randn(5, 11, generator=generator) for _ in range(2))
    found = divergences(Fixed(ours), Fixed(theirs), [1, 2, 3, 4, 5])
    for values, p, q in zip(found, (ours, theirs), (theirs, ours), strict=True):
        p, q = p[:-1].softmax(-1).double(), q[:-1].softmax(-1).double()
        torch.testing.assert_close(values.double(), (p * (p / q).log()).sum(-1), atol=1e-5, rtol=0)


def test_a_model_is_at_no_distance_from_itself_and_every_answer_counts(
    tmp_path: Path, tiny_model: Path
) -> None:
    from wim.models.manifest import write_manifest

    rows = [
        candidate(candidate_id=str(n), prompt_id=str(n), completion="Paris " * n) for n in range(4)
    ]
    write_table(tmp_path / "rows.parquet", DIALOGUES, as_arrow(DIALOGUES, rows))
    folder = tmp_path / "model"
    folder.mkdir()
    for path in tiny_model.iterdir():
        (folder / path.name).symlink_to(path)
    write_manifest(folder, "test")
    source = ModelSource(source=f"path:{folder}", dtype="float32")
    model = StagedModel(folder / "manifest.json", source, tmp_path)
    output = tmp_path / "kl.json"
    measure_kl([str(tmp_path / "rows.parquet")], model, model, "trained", 0, output)
    found = json.loads(output.read_text())
    assert found["answer"]["n"] == 4 and found["tokens"] > 4
    assert found["answer"]["value"] == pytest.approx(0.0, abs=1e-5)
    assert found["reverse_token"] == pytest.approx(0.0, abs=1e-5)
