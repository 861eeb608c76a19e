"""What makes training fast leaves its outcome as plain TRL has it."""

import logging
import math
import random
from pathlib import Path
from typing import Any

import pytest

from support.preference_training import ROWS, Loaded, history, loaded, settings_of, trainer_for
from wim.settings.training import TrainingSettings

__all__ = ["loaded"]
FLIPPED = [{**row, "chosen": row["rejected"], "rejected": row["chosen"]} for row in ROWS]


def reference_store(folder: Path, model: str = "tiny") -> Any:
    from wim.training.dpo.reference import ReferenceStore

    return ReferenceStore(folder / "store", model)


def computed(caplog: pytest.LogCaptureFixture) -> list[tuple[int, int]]:
    """(computed, known) of every look into the store."""
    return [each.args for each in caplog.records if each.msg.startswith("reference log-")]  # type: ignore[misc]


@pytest.mark.parametrize("bias", [False, True])
def test_the_head_gives_what_trls_gives_with_the_same_gradient(bias: bool) -> None:
    import torch
    from trl.kernels.chunked_logprob import ChunkedLogProbFunction

    from wim.training.dpo.cpu_head import POSITIONS, scores

    torch.manual_seed(0)
    tokens, width, vocabulary = POSITIONS + 7, 24, 301
    hidden = torch.randn(tokens, width)
    weight = 0.5 * torch.randn(vocabulary, width)
    weight[17] = weight[5]
    added = torch.randn(vocabulary) if bias else None
    if added is not None:
        added[17] = added[5]
    targets = torch.randint(vocabulary, (tokens,))
    targets[:40] = torch.tensor([5, 17]).repeat(20)
    hidden[:40] = weight[5] + 0.1 * hidden[:40]
    upstream = torch.randn(tokens)
    wanted = ("entropy", "log_sum_sq_probs", "mean_logits", "is_top1")
    ours, theirs = (hidden.clone().requires_grad_() for _ in range(2))
    found = scores(ours, weight, added, targets, sum_squares=True)
    of_trl = ChunkedLogProbFunction.apply(
        theirs, weight, added, targets, 1.0, 64, None, 1.0, wanted
    )
    for mine, expected in zip(found, of_trl, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-5)
    assert 0 < found[4][:40].sum() < 40, "a tie counts for the first token alone"
    (found[0] * upstream).sum().backward()
    (of_trl[0] * upstream).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-5, rtol=1e-5)


def test_a_head_that_is_trained_gets_its_gradient() -> None:
    import torch

    from wim.training.dpo.cpu_head import scores

    torch.manual_seed(0)
    hidden, weight = torch.randn(9, 8), torch.randn(50, 8).requires_grad_()
    targets = torch.randint(50, (9,))
    scores(hidden, weight, None, targets)[0].sum().backward()
    expected = weight.detach().clone().requires_grad_()
    (hidden @ expected.T).log_softmax(-1).gather(1, targets[:, None]).sum().backward()
    torch.testing.assert_close(weight.grad, expected.grad)


def test_without_gradients_a_head_scores_the_same_whether_it_is_trained_or_frozen() -> None:
    import torch

    from wim.training.dpo.cpu_head import scores

    torch.manual_seed(0)
    hidden, weight = torch.randn(300, 64), torch.randn(5000, 64)
    targets = torch.randint(5000, (300,))
    with torch.no_grad():
        frozen, trained = (
            scores(hidden, weight.clone().requires_grad_(wanted), None, targets, sum_squares=True)
            for wanted in (False, True)
        )
    for mine, expected in zip(trained, frozen, strict=True):
        assert torch.equal(mine, expected)


def test_the_logits_of_a_batch_are_never_in_memory_whole(
    loaded: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wim.training.dpo import cpu_head as head

    sizes = []
    linear = head.linear
    monkeypatch.setattr(head, "POSITIONS", 5)
    monkeypatch.setattr(
        head, "linear", lambda *each: sizes.append(each[0].shape[0]) or linear(*each)
    )
    history(loaded, tmp_path, settings_of("sigmoid"), steps=1)
    assert len(sizes) > 2 and max(sizes) == 5


def test_a_steps_pairs_are_those_of_plain_trl_and_lie_by_length() -> None:
    from accelerate.data_loader import SeedableRandomSampler

    from wim.training.dpo.batches import ByLength, padding

    lengths = random.Random(0).choices(range(20, 300), k=50)
    epoch = 0
    order = ByLength(lengths, 8, lambda: epoch)
    plain = SeedableRandomSampler(lengths)
    for epoch in (0, 1, 1):
        plain.set_epoch(epoch)
        drawn, found = list(plain), list(order)
        for start in range(0, 48, 8):
            step = found[start : start + 8]
            assert sorted(step) == sorted(drawn[start : start + 8])
            assert [lengths[pair] for pair in step] == sorted(lengths[pair] for pair in step)
        assert found[48:] == drawn[48:], "a last step of fewer pairs keeps its micro-batches"
    both = [(length, length) for length in lengths]
    assert padding(both, found, 2) < 0.5 * padding(both, drawn, 2)
    assert padding([(32, 16), (8, 24)], [0, 1], 2) == pytest.approx(1 - 80 / 128)


@pytest.mark.parametrize("loss", ["sigmoid", "ipo", "cell"])
def test_the_loss_curve_in_float32_is_that_of_plain_trl(
    loaded: Loaded, tmp_path: Path, loss: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from trl import DPOTrainer

    from wim.training.dpo.trainer import PreferenceTrainer

    settings = settings_of(loss)
    arguments = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 2}
    ours = trainer_for(
        loaded, tmp_path / "ours", settings, 8, reference=reference_store(tmp_path),
        precompute_ref_log_probs=True, pad_to_multiple_of=16, **arguments,
    )  # fmt: skip
    monkeypatch.setattr(PreferenceTrainer, "_score_completions_alone", lambda self: None)
    monkeypatch.setattr(PreferenceTrainer, "_get_train_sampler", DPOTrainer._get_train_sampler)
    plain = trainer_for(loaded, tmp_path / "plain", settings, 8, **arguments)
    plain.train()
    monkeypatch.undo()
    ours.train()
    curves = [
        [
            (row["loss"], row["rewards/margins"])
            for row in trainer.state.log_history
            if "loss" in row
        ]
        for trainer in (plain, ours)
    ]
    assert len(curves[0]) == 8 and curves[0][0] != curves[0][-1]
    for expected, found in zip(*curves, strict=True):
        assert found == pytest.approx(expected, abs=1e-4)


def test_training_that_goes_on_in_its_second_epoch_sees_the_same_pairs(
    loaded: Loaded, tmp_path: Path
) -> None:
    def trainer() -> Any:
        return trainer_for(
            loaded, tmp_path, settings_of("sigmoid"), 8,
            per_device_train_batch_size=2, save_strategy="steps", save_steps=1,
        )  # fmt: skip

    whole, resumed = trainer(), trainer()
    whole.train()
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    losses = [
        [row["loss"] for row in each.state.log_history if "loss" in row]
        for each in (whole, resumed)
    ]
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)


def test_losses_over_a_batch_keep_the_order_of_trl(loaded: Loaded, tmp_path: Path) -> None:
    from torch.utils.data import RandomSampler

    trainer = trainer_for(loaded, tmp_path, settings_of("aot"), 1)
    assert isinstance(trainer._get_train_sampler(), RandomSampler)


def test_the_first_loss_in_bfloat16_is_ln_2_whatever_the_batches(
    loaded: Loaded, tmp_path: Path
) -> None:
    store = reference_store(tmp_path)
    for batch in (4, 1):
        rows = history(
            loaded, tmp_path, settings_of("sigmoid", beta=1.0), reference=store, bf16=True,
            precompute_ref_log_probs=True, pad_to_multiple_of=16, per_device_train_batch_size=batch,
        )  # fmt: skip
        assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-3)


def with_store(
    loaded: Loaded, folder: Path, settings: TrainingSettings, store: Any, **more: Any
) -> Any:
    return trainer_for(
        loaded, folder, settings, 1, reference=store, precompute_ref_log_probs=True, **more
    )


def test_reference_log_probabilities_are_computed_once_for_all_arms(
    loaded: Loaded, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "wim.training")
    pairs = len(ROWS)
    store = reference_store(tmp_path)
    for beta in (0.1, 0.5):
        with_store(loaded, tmp_path, settings_of("sigmoid", beta=beta), store)
    with_store(loaded, tmp_path, settings_of("ipo", ld_alpha=0.5), store, rows=FLIPPED)
    with_store(loaded, tmp_path, settings_of("sigmoid", lora=None), store)
    assert computed(caplog) == [(pairs, 0), *[(0, pairs)] * 3]
    with_store(loaded, tmp_path, settings_of("sigmoid"), reference_store(tmp_path, "another"))
    with_store(loaded, tmp_path, settings_of("sigmoid"), store, bf16=True)
    assert computed(caplog)[4:] == [(pairs, 0)] * 2


@pytest.mark.parametrize("ld_alpha", [None, 0.3])
def test_stored_reference_log_probabilities_are_those_of_trl(
    loaded: Loaded, tmp_path: Path, ld_alpha: float | None
) -> None:
    settings = settings_of("sigmoid", ld_alpha=ld_alpha, max_length=9)
    ours = with_store(loaded, tmp_path, settings, reference_store(tmp_path)).train_dataset
    theirs = with_store(loaded, tmp_path, settings, None).train_dataset
    for name in ("ref_chosen_logps", "ref_rejected_logps"):
        assert ours[name] == pytest.approx(theirs[name], abs=1e-4)


def test_what_was_computed_before_a_failure_is_not_computed_again(
    loaded: Loaded,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wim.training.dpo import reference

    caplog.set_level(logging.INFO, "wim.training")
    compute, batches = reference._log_probs, []

    def failing(batch: list[Any], trainer: Any) -> Any:
        batches.append(len(batch))
        if len(batches) == 2:
            raise KeyboardInterrupt
        return compute(batch, trainer)

    monkeypatch.setattr(reference, "_log_probs", failing)
    store = reference_store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        with_store(loaded, tmp_path, settings_of("sigmoid"), store)
    with_store(loaded, tmp_path, settings_of("sigmoid"), store)
    assert computed(caplog)[0][1] == batches[0] > 0
