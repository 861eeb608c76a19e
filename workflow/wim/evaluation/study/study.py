"""The study of rewards: one table of all judges and rewards on all labelled and recorded sets."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from wim.display.json_files import rounded, write_json
from wim.errors import UserError
from wim.evaluation.labels.read import read_labels
from wim.evaluation.study.choice import chosen
from wim.evaluation.study.encoded_set import EncodedSet, encoded_set
from wim.evaluation.study.labelled import labelled_figures
from wim.evaluation.study.measure import Measured
from wim.evaluation.study.recorded_rewards import ALWAYS, IMPOSSIBLE, measured_rewards
from wim.evaluation.study.sets import read_set, statuses_of
from wim.evaluation.study.split_head import SplitHead, split_head
from wim.evaluation.study.text import SetNote, study_text
from wim.evaluation.study.vectors import opened_encoder
from wim.settings.critique_rewards import NamedReward
from wim.settings.embeddings import Long
from wim.settings.study import RecordedSettings

logger = logging.getLogger(__name__)


def reward_study(
    recorded: Mapping[str, RecordedSettings],
    files: Mapping[str, Sequence[Path]],
    labels: Mapping[str, Path],
    rewards: Mapping[str, NamedReward],
    gate: Sequence[Path],
    tables: Sequence[Path],
    ratings: Sequence[Path],
    encoder: Path | None,
    store: Path,
    seed: int,
    output: Path,
    text: Path,
    figure: Path,
    scratch: str | None = None,
    long: Long = "cut",
    form: str | None = None,
) -> None:
    """Measure every reward, write the table, and say which one to train on.

    Args:
        recorded: Recorded critiques by name.
        files, labels: Their files, and their files of labels, by name.
        rewards: The rewards of the configuration.
        gate: The files of the gate's labelled pairs; empty where there are none.
        tables: The rewards tables of these pairs.
        ratings: The ratings of these pairs, all judges and shards.
        encoder: The manifest of the encoder; None where nothing is recorded.
        store: The row store of embeddings.
        seed: The run's.
        output, text, figure: JSON, Markdown (which is logged too), and accuracies as SVG.
        scratch, long: As in `embed_critiques`.
        form: That of the labelled pairs, where it is given.

    Raises:
        UserError: Of a file that cannot be read, or where there is nothing to measure on.
    """
    from wim.evaluation.study.figure import draw_costs

    figures: dict[str, dict[str, Measured]] = {}
    notes: dict[str, SetNote] = {}
    if gate:
        files_of_gate = ", ".join(path.name for path in gate)
        name = f"gate: {files_of_gate}"
        figures[name] = labelled_figures(read_labels(gate, form), tables, ratings, rewards)
        notes[name] = SetNote(f"the labels of {files_of_gate}", {}, 0, {}, {})
    sets = {}
    if recorded:
        assert encoder is not None
        with opened_encoder(encoder, store, scratch, long) as opened:
            for name, settings in recorded.items():
                read = read_set(name, settings, files[name], labels.get(name))
                sets[name] = encoded_set(read, opened)
    for name, one in sets.items():
        figures[name], notes[name] = _on_recorded(one, rewards, sets, seed)
        if not figures[name]:
            raise UserError(
                f"study.recorded.{name}: no two responses of one prompt of which one is better, by "
                f"{one.recorded.labels}; it needs prompts with several responses, and labels of the "
                "same texts that differ."
            )
    choice = chosen(figures)
    page = study_text(figures, notes, choice)
    content = {
        "choice": asdict(choice),
        "sets": {
            name: asdict(notes[name])
            | {"rewards": {key: asdict(one) for key, one in found.items()}}
            for name, found in figures.items()
        },
    }
    write_json(output, rounded(content))
    text.write_text(page, encoding="utf-8")
    draw_costs(figures, figure)
    for line in page.splitlines():
        logger.info("%s", line)


def _on_recorded(
    target: EncodedSet,
    rewards: Mapping[str, NamedReward],
    sets: Mapping[str, EncodedSet],
    seed: int,
) -> tuple[dict[str, Measured], SetNote]:
    """The figures of the configuration's rewards on recorded critiques, and of those always tried."""
    left_out = {
        name: IMPOSSIBLE[reward.kind]
        for name, reward in rewards.items()
        if reward.kind in IMPOSSIBLE
    }
    used = {name: reward for name, reward in rewards.items() if name not in left_out}
    known = [_formula(reward) for reward in used.values()]
    used |= {
        name: reward.model_copy(update={"learns_from": list(sets)}) if reward.has_head else reward
        for name, reward in ALWAYS.items()
        if _formula(reward) not in known
    }
    fitted: dict[str, SplitHead | None] = {}
    heads = {}
    for name, reward in used.items():
        if reward.has_head:
            kind = str([reward.learns_from, reward.fit, reward.vectors])
            if kind not in fitted:
                place = f"rewards.{name}.learns_from"
                fitted[kind] = split_head(target, reward, sets, place)
            heads[name] = fitted[kind]
    splits = {name: head.split for name, head in heads.items() if head}
    figures = measured_rewards(target, used, heads, seed)
    left_out |= {
        name: "no head can be fitted without the prompts that it is measured on, or the judge gave no numbers"
        for name, head in heads.items()
        if head is None
    }
    left_out |= {
        name: "no judgement of this set gives it a value"
        for name in used
        if name not in figures and name not in left_out
    }
    recorded = target.recorded
    note = SetNote(
        recorded.labels, statuses_of(recorded.judgements), recorded.repeated, splits, left_out
    )
    return figures, note


def _formula(reward: NamedReward) -> str:
    """A reward without its judge, to compare it with others."""
    plain = reward.model_copy(update={"judge": "recorded", "learns_from": []})
    return str(sorted(plain.identity(0)["reward"].items()))
