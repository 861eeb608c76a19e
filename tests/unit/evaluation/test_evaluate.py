"""Evaluations of tables: figures by category, and without the prompts that leak."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from support.builders import candidate, prompt
from wim.evaluation.evaluate import evaluate
from wim.settings.evaluations import EvaluationSettings
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, REWARDS

# By speaker the rewards of four prompts: `wim` wins the first two, which are of one category.
REWARD_OF = {"base": [0.0, 0.0, 1.0, 1.0], "wim": [1.0, 1.0, 0.0, 0.0]}
METADATA = [{"category": "math"}, {"category": "math"}, {"dataset": "`vicuna`"}, {"category": 3}]


def evaluated(
    folder: Path,
    settings: dict[str, Any],
    leaking: list[int],
    kl: float | None = None,
    curves: dict[str, Any] | None = None,
) -> tuple[Any, str]:
    """The figures and the page of an evaluation of `wim` against `base`.

    kl: how far `wim` is from its start; None where that is not measured.
    """
    measured = [] if kl is None else [str(folder / "one@wim.json")]
    for path in measured:
        answer = {"value": kl, "low": kl, "high": kl, "n": 4}
        figures = {"answer": answer, "token": 0.1, "reverse_token": 0.2, "tokens": 40}
        Path(path).write_text(json.dumps(figures))
    prompts = [
        prompt(f"p{number}", split="eval", metadata=json.dumps(metadata))
        for number, metadata in enumerate(METADATA)
    ]
    write_table(folder / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, prompts))
    leaks = [{"prompt_id": f"p{number}", "kind": "exact"} for number in leaking]
    (folder / "leaks.jsonl").write_text("".join(f"{json.dumps(leak)}\n" for leak in leaks))
    answers, rewards = [], []
    for speaker, values in REWARD_OF.items():
        ids = [f"{speaker}{number}" for number in range(len(values))]
        rows = [
            candidate(name, prompt_id=f"p{number}", completion=name)
            for number, name in enumerate(ids)
        ]
        answers.append(folder / f"{speaker}.parquet")
        write_table(answers[-1], DIALOGUES, as_arrow(DIALOGUES, rows))
        scored = [
            {
                **{"candidate_id": name, "prompt_id": f"p{number}", "turn": 1, "judge": "j"},
                **{"status": "ok", "cosine": None, "rating_scaled": None, "reward": value},
            }
            for number, (name, value) in enumerate(zip(ids, values, strict=True))
        ]
        rewards.append(folder / f"{speaker}-rewards.parquet")
        write_table(rewards[-1], REWARDS, pa.Table.from_pylist(scored, schema=REWARDS.schema))
    output = SimpleNamespace(
        table=str(folder / "one.json"), text=str(folder / "one.md"), figure=str(folder / "one.svg")
    )
    inputs = SimpleNamespace(
        prompts=[str(folder / "prompts.parquet")],
        leaks=str(folder / "leaks.jsonl"),
        answers=list(map(str, answers)),
        comparisons=[],
        rewards=list(map(str, rewards)),
        length_control=[],
        kl=measured,
        ratings=[],
        labels=[],
        labelled=[],
    )
    named = EvaluationSettings.model_validate(settings)
    evaluate(inputs, "one", named, list(REWARD_OF), 0, output, curves=curves)
    return json.loads((folder / "one.json").read_text()), (folder / "one.md").read_text()


def test_a_frontier_has_the_gain_against_the_divergence(tmp_path: Path) -> None:
    settings = {"kind": "frontier", "rewards": ["r"], "kl_limit": 4.0}
    curves = {"wim": {"curve": "sigmoid", "beta": 0.1}}
    figures, text = evaluated(tmp_path, settings, [0], 2.0, curves)
    curve = figures["frontier"]["r"]["curves"]["sigmoid"]
    # It wins two prompts by 1, and loses two by 1.
    assert curve["points"]["wim"]["gain"]["value"] == curve["area"]["value"] == 0.0
    assert curve["points"]["wim"]["kl"] == 2.0 and figures["frontier"]["r"]["kl_limit"] == 4.0
    assert figures["rewards"]["r"]["wim"]["without_leaks"]["n"] == 3
    assert "| sigmoid | `wim` | 0.1 |" in text and "## Reward: r" in text
    assert (tmp_path / "one.svg").stat().st_size > 5_000


def test_win_rates_are_given_by_category(tmp_path: Path) -> None:
    figures, text = evaluated(tmp_path, {"reward": "r"}, [])
    (one,) = figures["speakers"].values()
    assert {name: (each["value"], each["n"]) for name, each in one["by_category"].items()} == {
        "math": (1.0, 2),
        "`vicuna`": (0.0, 1),
    }
    assert "| `math` |" in text and "| `'vicuna'` |" in text
    assert "without_leaks" not in one


@pytest.mark.parametrize(
    ("settings", "value"), [({"reward": "r"}, 0.0), ({"kind": "reward", "rewards": ["r"]}, 0.0)]
)
def test_figures_are_given_without_what_leaks(
    tmp_path: Path, settings: dict[str, Any], value: float
) -> None:
    figures, text = evaluated(tmp_path, settings, [0, 1])
    speakers = figures["rewards"]["r"] if "rewards" in figures else figures["speakers"]
    assert speakers["wim"]["without_leaks"]["value"] == value
    assert speakers["wim"]["without_leaks"]["n"] == 2
    assert "without leaks" in text


def test_what_leaks_wholly_leaves_no_figure(tmp_path: Path) -> None:
    figures, text = evaluated(tmp_path, {"kind": "reward", "rewards": ["r"]}, [0, 1, 2, 3])
    assert figures["rewards"]["r"]["wim"]["without_leaks"]["value"] is None
    assert "without leaks" in text
