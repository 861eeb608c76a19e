"""Which edits make trainings start anew, and reference log-probabilities be computed again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from support.code_caches import forget_code
from wim.provenance import code


def codes() -> dict[str, str]:
    from wim.training.dpo.reference import reference_code
    from wim.training.dpo.train import dpo_code
    from wim.training.online_dpo.train import online_code
    from wim.training.reward_model import reward_model_code
    from wim.training.sft.train import sft_code

    forget_code()
    made: dict[str, Callable[[], str]] = {
        "dpo": dpo_code,
        "online": online_code,
        "sft": sft_code,
        "reward model": reward_model_code,
        "reference": reference_code,
    }
    return {name: code() for name, code in made.items()}


ALL = {"dpo", "online", "sft", "reward model"}


@pytest.mark.parametrize(
    ("module", "decides"),
    [
        ("training/dpo/cpu_head.py", {"dpo", "reference"}),
        ("training/dpo/cpu_prefix.py", {"dpo", "reference"}),
        ("training/dpo/batches.py", {"dpo", "reference"}),
        ("training/losses.py", {"dpo"}),
        ("training/run/callbacks.py", ALL),
        ("training/run/trl_internals.py", {*ALL, "reference"}),
        ("settings/optimization.py", ALL),
        ("dialogues/context.py", {"online"}),
        ("prompts/splits.py", {"online"}),
        ("templates.py", {"online"}),
        ("tables/ratings.py", {"online"}),
        ("training/records/card.py", set()),
        ("training/records/kl.py", set()),
        ("store/rows.py", set()),
        ("models/node_copy.py", set()),
    ],
)
def test_an_edit_changes_the_trainings_that_it_decides_and_no_others(
    module: str, decides: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    edited_file = code.PACKAGE / module
    assert edited_file.is_file()
    before, read = codes(), Path.read_text

    def edited(path: Path, *arguments: str, **named: str) -> str:
        text = read(path, *arguments, **named)  # type: ignore[arg-type]
        return f"{text}\nEDITED = 1\n" if path == edited_file else text

    monkeypatch.setattr(Path, "read_text", edited)
    after = codes()
    monkeypatch.undo()
    forget_code()
    assert {name for name in before if before[name] != after[name]} == decides
