"""`wim winrate`: win rates from a file of AlpacaEval's annotations that someone else made."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wim.display.markdown import markdown_table, shown
from wim.errors import UserError
from wim.evaluation.compared.length_controlled import LengthControlled
from wim.evaluation.compared.win_rate import WinRate
from wim.evaluation.formats.alpaca_eval import (
    Annotations,
    ModelOutput,
    read_annotations,
    read_difficulties,
    read_gamed,
    read_instructions,
    read_model_outputs,
)
from wim.evaluation.formats.rows import printable, some
from wim.evaluation.from_files.arguments import add_common
from wim.evaluation.from_files.win_rates import FileWinRate, LengthControl, file_win_rates
from wim.statistics import Estimate


def add_arguments(winrate: argparse.ArgumentParser) -> None:
    """The options of the command."""
    winrate.add_argument("annotations", type=Path, help="annotations.json, of one or more models")
    winrate.add_argument(
        "--outputs",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a model's model_outputs.json: for lengths, and for answers without annotation",
    )
    winrate.add_argument(
        "--reference-outputs",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a reference's model_outputs.json: for lengths",
    )
    winrate.add_argument(
        "--difficulties",
        type=Path,
        metavar="FILE",
        help="instruction_difficulty.csv or df_gamed.csv: adds the variant noreg",
    )
    winrate.add_argument(
        "--gamed",
        type=Path,
        metavar="FILE",
        help="df_gamed.csv: adds the variants noreg and v1",
    )
    winrate.add_argument(
        "--instructions",
        type=Path,
        metavar="FILE",
        help="alpaca_eval.json or any outputs with every instruction in AlpacaEval's order, by which "
        "difficulties are joined",
    )
    add_common(winrate)


def run(arguments: argparse.Namespace) -> None:
    """Print the figures of a file.

    Raises:
        UserError: A file cannot be read, or no row has a preference.
    """
    path: Path = arguments.annotations
    annotations = read_annotations(path)
    found = file_win_rates(
        annotations.rows,
        arguments.seed,
        _control(arguments),
        _outputs(arguments.outputs),
        _outputs(arguments.reference_outputs),
    )
    if not any(one.figures.judged for one in found):
        raise UserError(f"{path}: {_nothing(found)}")
    if arguments.json:
        print(json.dumps(_as_json(path, annotations, found), indent=2, allow_nan=False))
    else:
        print(_as_text(path, annotations, found))


def _control(arguments: argparse.Namespace) -> LengthControl:
    hard: Path | None = arguments.difficulties or arguments.gamed
    if hard is None:
        if arguments.instructions is not None:
            raise UserError("--instructions joins difficulties; write --difficulties as well.")
        return LengthControl()
    difficulties = read_difficulties(hard)
    instructions = None
    if arguments.instructions is not None:
        instructions = read_instructions(arguments.instructions)
        if len(instructions) != len(difficulties):
            raise UserError(
                f"{arguments.instructions} has {len(instructions)} instructions and {hard} "
                f"{len(difficulties)} difficulties; expected one for each."
            )
    gamed = read_gamed(arguments.gamed) if arguments.gamed is not None else None
    return LengthControl(difficulties, instructions, gamed)


def _outputs(paths: Sequence[Path]) -> list[ModelOutput]:
    return [output for path in paths for output in read_model_outputs(path)]


def _nothing(found: Sequence[FileWinRate]) -> str:
    causes: dict[str, int] = {}
    for one in found:
        for cause, count in one.figures.failures.items():
            causes[cause] = causes.get(cause, 0) + count
    listed = ", ".join(f"{count} with {cause}" for cause, count in sorted(causes.items()))
    return f"no row has a preference from 1 to 2 ({listed}); judge the answers again."


def _as_json(path: Path, annotations: Annotations, found: Sequence[FileWinRate]) -> dict[str, Any]:
    return {
        "file": path.name,
        "rows": len(annotations.rows),
        "unreadable": list(annotations.unreadable),
        "win_rates": [_one_as_json(one) for one in found],
    }


def _one_as_json(one: FileWinRate) -> dict[str, Any]:
    """The figures under AlpacaEval's names, where it has them; win rates are percentages."""
    figures = one.figures
    return {
        "model": one.model,
        "reference": one.reference,
        "judge": one.judge,
        "win_rate": _times_100(figures.win_rate.value),
        "win_rate_interval": _interval(figures.win_rate),
        "standard_error": _times_100(one.standard_error),
        "discrete_win_rate": _times_100(figures.discrete_win_rate),
        "n_wins": figures.wins,
        "n_wins_base": figures.losses,
        "n_draws": figures.ties,
        "n_total": figures.judged,
        "rows": figures.compared,
        "prompts": figures.prompts,
        "length_controlled": {
            variant: _controlled_as_json(each) for variant, each in one.length_controlled.items()
        },
        "by_dataset": {
            name: {
                "win_rate": _times_100(each.win_rate.value),
                "win_rate_interval": _interval(each.win_rate),
                "n_total": each.judged,
            }
            for name, each in one.by_dataset.items()
        },
        "length_correlation": asdict(figures.length_correlation),
        "avg_length": figures.length,
        "avg_length_reference": figures.reference_length,
        "dropped": dict(one.dropped),
        "notes": list(one.notes),
    }


def _controlled_as_json(each: LengthControlled) -> dict[str, Any]:
    return {
        "length_controlled_winrate": _times_100(each.win_rate.value),
        "interval": _interval(each.win_rate),
        "lc_standard_error": _times_100(each.standard_error),
        "n_total": each.win_rate.n,
        "weights": dict(each.weights),
        "C": each.penalty,
        "notes": list(each.notes),
    }


def _times_100(share: float | None) -> float | None:
    return None if share is None else 100 * share


def _interval(share: Estimate) -> list[float] | None:
    return None if share.low is None or share.high is None else [100 * share.low, 100 * share.high]


def _as_text(path: Path, annotations: Annotations, found: Sequence[FileWinRate]) -> str:
    parts = [
        f"{path}: {len(annotations.rows)} annotations. Win rates are percentages, with 95 % "
        "intervals over prompts; LC is length-controlled, by its variant.",
        markdown_table([_row(one) for one in found], left=3),
    ]
    if sets := sorted({name for one in found for name in one.by_dataset}):
        rows = [_row_by_dataset(one, sets) for one in found]
        parts.append(f"Win rates by data set:\n\n{markdown_table(rows, left=3)}")
    if annotations.unreadable:
        places = some([printable(place) for place in annotations.unreadable])
        parts.append(f"Not read, as they are no annotations: {places}.")
    for one in found:
        notes = [f"{count} dropped: {cause}" for cause, count in one.dropped.items()]
        notes += one.notes
        notes += [
            f"LC {name}: {note}"
            for name, each in one.length_controlled.items()
            for note in each.notes
        ]
        if notes:
            listed = "\n".join(f"- {note}" for note in notes)
            names = f"{printable(one.model)} against {printable(one.reference)}"
            parts.append(f"{names}:\n{listed}")
    return "\n\n".join(parts)


def _row(one: FileWinRate) -> dict[str, str]:
    figures: WinRate = one.figures
    variants = {
        f"LC {name}": _percentage(one.length_controlled[name].win_rate)
        if name in one.length_controlled
        else shown(None, "")
        for name in ("minimal", "noreg", "v1")
    }
    return {
        "model": printable(one.model),
        "reference": printable(one.reference),
        "judge": printable(one.judge),
        "n": f"{figures.judged} of {figures.compared}",
        "win rate": _percentage(figures.win_rate),
        "s.e.": shown(_times_100(one.standard_error), ".2f"),
        "discrete": shown(_times_100(figures.discrete_win_rate), ".2f"),
        **variants,
        "with length": shown(figures.length_correlation.value, "+.2f"),
        "characters": f"{shown(figures.length, '.0f')} / {shown(figures.reference_length, '.0f')}",
    }


def _row_by_dataset(one: FileWinRate, sets: Sequence[str]) -> dict[str, str]:
    found = one.by_dataset
    return {
        "model": printable(one.model),
        "reference": printable(one.reference),
        "judge": printable(one.judge),
        **{
            printable(name): _percentage(found[name].win_rate) if name in found else shown(None, "")
            for name in sets
        },
    }


def _percentage(share: Estimate) -> str:
    interval = _interval(share)
    value = shown(_times_100(share.value), ".2f")
    return value if interval is None else f"{value} [{interval[0]:.2f}, {interval[1]:.2f}]"
