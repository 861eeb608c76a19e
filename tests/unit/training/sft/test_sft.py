"""Supervised fine-tuning: what it learns from, what is left to preferences, and how it goes on."""

import json
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from support.sft_rows import ANSWERS, QUESTIONS, sft_candidate, sft_prompt
from wim.errors import UserError
from wim.prompts.splits import is_for_sft
from wim.provenance.digest import row_id
from wim.settings.load import load_config
from wim.settings.sft import SftSettings
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, Prompt
from wim.training.sft.completions import completion_splits


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> list[Prompt]:
    return [sft_prompt(place) for place in range(len(QUESTIONS))]


@pytest.fixture(scope="module")
def tables(prompts: list[Prompt], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Prompts and a teacher's dialogues; its first training answer is cut off, the second empty."""
    folder = tmp_path_factory.mktemp("tables")
    rows = {each.prompt_id: sft_candidate(each) for each in prompts}
    first, second = [each for each in prompts if each.split == "train"][:2]
    rows[first.prompt_id] = sft_candidate(first, finish_reason="length")
    rows[second.prompt_id] = sft_candidate(second, completion="")
    write_table(folder / "prompts.parquet", PROMPTS, as_arrow(PROMPTS, prompts))
    write_table(folder / "taught.parquet", DIALOGUES, as_arrow(DIALOGUES, rows.values()))
    return folder / "prompts.parquet", folder / "taught.parquet"


def splits(tables: tuple[Path, Path], **settings: Any) -> tuple[list[Any], list[Any], Counter[str]]:
    """Rows to train on, rows held out, and what was left out."""
    excluded: Counter[str] = Counter()
    dialogues = [] if settings.get("completions") is None else [tables[1]]
    train, held_out = completion_splits(
        [tables[0]], dialogues, SftSettings(**settings), "Be kind.", excluded
    )
    return train, held_out, excluded


def test_a_teachers_completions_stand_in_their_own_context(
    tables: tuple[Path, Path], prompts: list[Prompt]
) -> None:
    train, held_out, excluded = splits(tables, completions="teacher")
    assert (len(train), len(held_out)) == (7, 3)
    assert excluded == {"cut off at max_new_tokens": 1, "empty": 1}
    for row in train + held_out:
        assert [message["role"] for message in row.context] == ["system", "user"]
        assert row.context[0]["content"] == "Be brief."
        assert row.completion in ANSWERS
    with_cut, _, excluded = splits(tables, completions="teacher", finished=False)
    assert len(with_cut) == 8 and "cut off at max_new_tokens" not in excluded


def test_references_stand_behind_the_system_message_and_none_is_made_up(
    tables: tuple[Path, Path],
) -> None:
    train, held_out, _ = splits(tables)
    assert len(train) + len(held_out) == 8, "a prompt without a reference was used"
    assert all(row.completion.startswith("Reference ") for row in train)
    assert all(row.context[0]["content"] == "Be kind." for row in train)


def test_a_prompts_own_system_message_stays_the_only_one(tmp_path: Path) -> None:
    own = [{"role": "system", "content": "Rhyme."}, {"role": "user", "content": "Why?"}]
    prompts = [sft_prompt(1), replace(sft_prompt(2), messages=own, reference="So.")]
    write_table(tmp_path / "p.parquet", PROMPTS, as_arrow(PROMPTS, prompts))
    train, held_out, _ = splits((tmp_path / "p.parquet", tmp_path / "none.parquet"))
    assert own in [row.context for row in train + held_out]


def test_a_share_of_the_prompts_is_theirs_by_hash_and_the_others_are_left(
    tables: tuple[Path, Path], prompts: list[Prompt]
) -> None:
    train, held_out, excluded = splits(tables, completions="teacher", prompts=0.5, finished=False)
    used = {row.context[-1]["content"] for row in train}
    ids = {each.messages[0]["content"]: each.prompt_id for each in prompts}
    assert used and all(is_for_sft(ids[text], 0.5) for text in used)
    assert len(held_out) == 3, "held-out prompts are not shared out"
    assert excluded["of prompts that are left to preferences"] + len(train) in (8, 9)


def test_a_larger_share_has_the_prompts_of_a_smaller_one() -> None:
    ids = [row_id(number) for number in range(2000)]
    tenth, half = ({name for name in ids if is_for_sft(name, share)} for share in (0.1, 0.5))
    assert tenth < half
    assert 150 < len(tenth) < 250 and 900 < len(half) < 1100
    assert all(is_for_sft(name, 1.0) for name in ids)


def test_nothing_to_learn_from_is_refused_with_what_was_left_out(tmp_path: Path) -> None:
    one = sft_prompt(1)
    write_table(tmp_path / "p.parquet", PROMPTS, as_arrow(PROMPTS, [one]))
    cut = sft_candidate(one, finish_reason="length")
    write_table(tmp_path / "d.parquet", DIALOGUES, as_arrow(DIALOGUES, [cut]))
    with pytest.raises(UserError, match=r"sft on teacher: nothing .* 1 cut off at max_new_tokens"):
        splits((tmp_path / "p.parquet", tmp_path / "d.parquet"), completions="teacher")


def fine_tuned(tables: tuple[Path, Path], base: Path, folder: Path, **changed: Any) -> list[float]:
    """Train on the teacher's completions; the loss of every step."""
    from wim.training.run.setup import Run
    from wim.training.sft.train import train_sft

    settings = {"completions": "teacher", "batch_size": 2, "epochs": 2.0, "precision": "float32"}
    train_sft(
        prompts=[tables[0]],
        dialogues=[tables[1]],
        settings=SftSettings.model_validate({**settings, "learning_rate": 1e-2, **changed}),
        system=None,
        name="taught",
        upstream_settings={},
        run=Run(
            manifest=base / "manifest.json",
            seed=0,
            per_device=2,
            store=folder / "store",
            save_seconds=0,
            folder=folder / "checkpoint",
        ),
    )
    return [row["loss"] for row in history(folder / "checkpoint") if "loss" in row]


def history(checkpoint: Path) -> list[dict[str, float]]:
    """What was logged of each step."""
    return [json.loads(line) for line in (checkpoint / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def base(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, staged."""
    from wim.models.stage import stage_model
    from wim.settings.models import ModelSource

    folder = tmp_path_factory.mktemp("base") / "tiny"
    stage_model(ModelSource(source=f"path:{tiny_model}"), folder)
    return folder


def test_a_killed_training_goes_on_to_the_same_loss_curve_and_leaves_a_whole_checkpoint(
    tables: tuple[Path, Path],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from wim.training.run.callbacks import Resumable

    undisturbed = fine_tuned(tables, base, tmp_path / "undisturbed")
    assert len(undisturbed) == 8
    assert undisturbed[-1] < undisturbed[0] - 0.1, "nothing was learnt"

    with monkeypatch.context() as patched:
        saved = Resumable.on_save

        def killed(self: Resumable, args: Any, state: Any, control: Any, **more: Any) -> None:
            saved(self, args, state, control, **more)
            if state.global_step == 3:
                raise KeyboardInterrupt

        patched.setattr(Resumable, "on_save", killed)
        with pytest.raises(KeyboardInterrupt):
            fine_tuned(tables, base, tmp_path / "killed")
    folder = tmp_path / "killed/checkpoint"
    assert not folder.exists()
    caplog.set_level("INFO", "wim")
    assert fine_tuned(tables, base, tmp_path / "killed") == pytest.approx(undisturbed, abs=1e-5)
    assert "resuming from checkpoint-3" in caplog.text
    assert not list((tmp_path / "killed/store").glob("*/checkpoint-*"))

    card = (folder / "README.md").read_text()
    assert "# fine-tuning taught" in card and "supervised fine-tuning" in card
    story = json.loads((folder / "provenance.json").read_text())
    assert set(story["digests"]) == {"base model", "completions"}
    from transformers import AutoModelForCausalLM

    assert AutoModelForCausalLM.from_pretrained(folder).num_parameters()


@pytest.mark.parametrize(("step", "signalled"), [(3, True), (4, False)])
def test_what_is_measured_outlives_an_end_within_an_epoch_and_at_one(
    tables: tuple[Path, Path],
    base: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    signalled: bool,
) -> None:
    """Of the eight steps four are an epoch, behind which the held-out rows are measured."""
    from trl import SFTTrainer

    from wim.training.run.callbacks import Resumable

    fine_tuned(tables, base, tmp_path / "undisturbed")
    measured = []
    evaluate, saved, ended = SFTTrainer.evaluate, Resumable.on_save, Resumable.on_step_end

    def counted(self: Any, *arguments: Any, **named: Any) -> Any:
        measured.append(self.state.global_step)
        return evaluate(self, *arguments, **named)

    def killed(self: Resumable, args: Any, state: Any, control: Any, **more: Any) -> None:
        saved(self, args, state, control, **more)
        if state.global_step == step:
            raise KeyboardInterrupt

    def told(self: Resumable, args: Any, state: Any, control: Any, **more: Any) -> None:
        if state.global_step == step:
            self.stopped_by = signal.SIGTERM
        ended(self, args, state, control, **more)

    with monkeypatch.context() as patched:
        patched.setattr(SFTTrainer, "evaluate", counted)
        if signalled:
            patched.setattr(Resumable, "on_step_end", told)
        else:
            patched.setattr(Resumable, "on_save", killed)
        with pytest.raises(SystemExit if signalled else KeyboardInterrupt):
            fine_tuned(tables, base, tmp_path / "ended")
    assert measured == ([4] if step == 4 else []), "what is broken off has no time to be measured"
    fine_tuned(tables, base, tmp_path / "ended")
    ends, whole = (history(tmp_path / name / "checkpoint") for name in ("ended", "undisturbed"))
    assert [row["step"] for row in ends if "eval_loss" in row] == [4, 8]
    for row, same in zip(ends, whole, strict=True):
        assert row == pytest.approx(same, abs=1e-4)


def test_the_loss_is_that_of_the_completions_tokens_alone(
    tables: tuple[Path, Path], base: Path, tmp_path: Path
) -> None:
    """The first loss, without an update before it, equals the model's own on those tokens."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    train, _, _ = splits(tables, completions="teacher")
    (first, *_) = fine_tuned(
        tables, base, tmp_path, batch_size=len(train), epochs=1.0, learning_rate=1e-9
    )
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(base)
    total, count = 0.0, 0
    for row in train:
        asked = tokenizer.apply_chat_template(
            row.context, add_generation_prompt=True, return_dict=True
        )["input_ids"]
        said = [*tokenizer(row.completion)["input_ids"], tokenizer.eos_token_id]
        tokens, start = torch.tensor([asked + said]), len(asked)
        with torch.no_grad():
            logprobs = model(tokens).logits.log_softmax(-1)[0, start - 1 : -1]
        total -= float(logprobs.gather(1, tokens[0, start:, None]).sum())
        count += tokens.shape[1] - start
    assert first == pytest.approx(total / count, abs=1e-4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sft": {"a": {"completions": "nobody"}}}, ["sft.a.completions", "'nobody'", "base"]),
        ({"sft": {"round1": {}}}, ["sft.round1", "name of a round"]),
        ({"sft": {"smollm2": {}}}, ["sft.smollm2", "another model has this name"]),
        ({"sft": {"a": {}}, "dialogues": {"actor": "a"}}, ["sft.a.model", "dialogues.actor"]),
        ({"sft": {"a": {"prompts": 0}}}, ["sft.a.prompts", "found 0"]),
        ({"arms": {"x": {"reward": "wim", "start": "b"}}}, ["arms.x.start", "'b'"]),
        (
            {
                "models": {"far": {"source": "endpoint:far@1", "api": {"url": "https://x.org/v1"}}},
                "arms": {"x": {"reward": "wim", "start": "far"}},
                "sft": {"a": {"model": "far"}},
            },
            ["arms.x.start: found 'far', an endpoint", "sft.a.model: found 'far', an endpoint"],
        ),
    ],
)
def test_what_cannot_be_fine_tuned_is_refused(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as refused:
        load_config(settings)
    for each in words:
        assert each in str(refused.value)


def test_a_fine_tuned_model_is_run_as_the_one_that_it_comes_from() -> None:
    config = load_config(
        {
            "sft": {"a": {"model": "smollm2"}},
            "dialogues": {"actor": "a"},
            "arms": {"x": {"reward": "wim"}, "y": {"reward": "wim", "start": "smollm2"}},
        }
    )
    assert config.source_of("a") == config.models["smollm2"]
    assert (config.start_of("x"), config.start_of("y")) == ("a", "smollm2")
