"""What is private in TRL is as it was tried, and is touched in one file."""

import ast
import inspect
from pathlib import Path

import pytest

import wim.training
from wim.training.run import trl_internals

TRAINING = Path(str(wim.training.__file__)).parent


def privates_of(hooks: type) -> list[str]:
    """The private methods that a class of hooks takes the place of."""
    return [name for name in vars(hooks) if name.startswith("_") and not name.startswith("__")]


@pytest.mark.parametrize(
    ("hooks", "trainer"),
    [
        ("DpoHooks", "trl.DPOTrainer"),
        ("OnlineHooks", "trl.experimental.online_dpo.OnlineDPOTrainer"),
    ],
)
def test_every_hook_takes_the_place_of_a_method_with_the_same_arguments(
    hooks: str, trainer: str
) -> None:
    module, _, name = trainer.rpartition(".")
    theirs = getattr(__import__(module, fromlist=[name]), name)
    ours = getattr(trl_internals, hooks)
    assert privates_of(ours)
    for method in privates_of(ours):
        theirs_take = inspect.signature(getattr(theirs, method)).parameters
        ours_take = inspect.signature(getattr(ours, method)).parameters
        variadic = any(each.kind is each.VAR_POSITIONAL for each in ours_take.values())
        assert variadic or len(ours_take) == len(theirs_take), method


def test_no_other_module_of_training_overrides_or_calls_them() -> None:
    hooked = {
        name
        for hooks in (trl_internals.DpoHooks, trl_internals.OnlineHooks)
        for name in privates_of(hooks)
    }
    for path in TRAINING.rglob("*.py"):
        if path.name == "trl_internals.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "attr", None) or getattr(node, "name", None)
            assert name not in hooked, f"{path}: {name} belongs in trl_internals.py"


def test_weights_are_not_hashed_for_a_cache_of_trls(monkeypatch: pytest.MonkeyPatch) -> None:
    from trl.trainer import dpo_trainer

    hashed: list[object] = []
    monkeypatch.setattr(dpo_trainer, "hash_module", hashed.append)
    with trl_internals.without_hash_of_weights():
        dpo_trainer.hash_module("weights")
    assert not hashed
    dpo_trainer.hash_module("weights")
    assert hashed == ["weights"]
