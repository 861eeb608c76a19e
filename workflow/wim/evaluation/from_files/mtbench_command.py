"""`wim mtbench`: MT-Bench's figures from files of FastChat's judgements that someone else made."""

import argparse
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path

from wim.display.markdown import markdown_table, shown
from wim.errors import UserError
from wim.evaluation.formats.fastchat import Judgements, read_judgements, read_questions
from wim.evaluation.formats.rows import printable, some
from wim.evaluation.from_files.arguments import add_common
from wim.evaluation.mt_bench import Scores, Wins, pair_scores, single_scores
from wim.statistics import Estimate


def add_arguments(mtbench: argparse.ArgumentParser) -> None:
    """The options of the command."""
    mtbench.add_argument(
        "judgements",
        type=Path,
        nargs="+",
        help="model_judgment's <judge>_single.jsonl or <judge>_pair.jsonl, of one or more models",
    )
    mtbench.add_argument(
        "--questions", type=Path, metavar="FILE", help="question.jsonl, for figures by category"
    )
    mtbench.add_argument(
        "--models", nargs="+", metavar="NAME", help="these alone; of pairs, those between them"
    )
    mtbench.add_argument("--baseline", metavar="NAME", help="of pairs, those with this model")
    add_common(mtbench)


def run(arguments: argparse.Namespace) -> None:
    """Print the figures of one or more files.

    Raises:
        UserError: A file cannot be read, or no judgement has a score or a verdict.
    """
    found = _read(arguments.judgements, arguments.models, arguments.baseline)
    categories = {}
    if arguments.questions is not None:
        questions = read_questions(arguments.questions)
        categories = {one.question_id: one.category for one in questions if one.category}
    single = single_scores(found.single, categories, arguments.seed)
    pairs = pair_scores(found.pairs, categories, arguments.seed, arguments.baseline)
    _check_judged(arguments, single, pairs)
    unknown = _without_category(found, categories) if arguments.questions is not None else 0
    if arguments.json:
        value = {
            "files": [path.name for path in arguments.judgements],
            "unreadable": list(found.unreadable),
            "without_category": unknown,
            "single": [asdict(one) for one in single],
            "pairs": [asdict(one) for one in pairs],
        }
        print(json.dumps(value, indent=2, allow_nan=False))
    else:
        print(_as_text(found, single, pairs, unknown))


def _read(paths: Sequence[Path], models: Sequence[str] | None, baseline: str | None) -> Judgements:
    """The judgements of every file, of these models; UserError where one of them is in no file."""
    files = [(path, read_judgements(path)) for path in paths]
    paired = {
        name for _, file in files for one in file.pairs for name in (one.model_1, one.model_2)
    }
    graded = {one.model for _, file in files for one in file.single}
    _check_names("--models", models or (), graded | paired, "models")
    _check_names("--baseline", [baseline] if baseline else (), paired, "models in pairs")
    chosen = set(models) if models else None
    return Judgements(
        single=[
            one for _, file in files for one in file.single if not chosen or one.model in chosen
        ],
        pairs=[
            one
            for _, file in files
            for one in file.pairs
            if not chosen or {one.model_1, one.model_2} <= chosen
        ],
        unreadable=[f"{path.name}, {place}" for path, file in files for place in file.unreadable],
    )


def _check_names(option: str, names: Sequence[str], known: Set[str], what: str) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        shown_names = some([printable(name) for name in sorted(known)]) if known else "none"
        raise UserError(
            f"{option} {' '.join(unknown)}: the files have the {what} {shown_names}; write one of "
            "these, or leave the option out."
        )


def _check_judged(
    arguments: argparse.Namespace, single: Sequence[Scores], pairs: Sequence[Wins]
) -> None:
    """Raise if nothing is left of what was read."""
    if any(one.mean.n for one in single) or any(one.adjusted.n for one in pairs):
        return
    causes = {cause for each in (single, pairs) for one in each for cause in one.failures}
    why = ", ".join(sorted(causes)) if causes else "none is of the chosen models"
    raise UserError(
        f"{', '.join(map(str, arguments.judgements))}: no judgement has a score or a verdict ({why})."
    )


def _without_category(found: Judgements, categories: Mapping[str, str]) -> int:
    ids = [one.question_id for one in found.single] + [one.question_id for one in found.pairs]
    return sum(question not in categories for question in ids)


def _as_text(
    found: Judgements, single: Sequence[Scores], pairs: Sequence[Wins], unknown: int
) -> str:
    parts = []
    if single:
        parts.append(
            "Single grading: mean scores of all judged turns, with 95 % intervals over questions.\n\n"
            + markdown_table([_single_row(one, single) for one in single], left=2)
        )
    if pairs:
        parts.append(
            "Pairs, in both orders; adjusted counts a tie as half a win.\n\n"
            + markdown_table([_pair_row(one, pairs) for one in pairs], left=2)
        )
    for name, rows in (("score", single), ("adjusted win rate", pairs)):
        if table := _by_category(rows):
            parts.append(f"By category, {name}:\n\n{table}")
    if notes := _notes(found, single, pairs, unknown):
        parts.append("\n".join(f"- {note}" for note in notes))
    return "\n\n".join(parts)


def _single_row(one: Scores, every: Sequence[Scores]) -> dict[str, str]:
    return {
        "model": printable(one.model),
        "judge": printable(one.judge),
        "n": str(one.mean.n),
        "score": _four_digits(one.mean),
        **_turns(one.by_turn, [each.by_turn for each in every]),
        "failed": str(sum(one.failures.values())),
    }


def _pair_row(one: Wins, every: Sequence[Wins]) -> dict[str, str]:
    return {
        "model": printable(one.model),
        "judge": printable(one.judge),
        "n": str(one.adjusted.n),
        "wins": str(one.wins),
        "ties": str(one.ties),
        "losses": str(one.losses),
        "win rate": shown(one.win_rate, ".4f"),
        "loss rate": shown(one.loss_rate, ".4f"),
        "adjusted": _four_digits(one.adjusted),
        **_turns(one.by_turn, [each.by_turn for each in every]),
        "same in both orders": shown(one.consistency.value, ".2f"),
        "lean to the first": shown(one.position_bias.value, "+.2f"),
        "failed": str(sum(one.failures.values())),
    }


def _four_digits(one: Estimate) -> str:
    if one.low is None or one.high is None:
        return shown(one.value, ".4f")
    return f"{shown(one.value, '.4f')} [{one.low:.2f}, {one.high:.2f}]"


def _turns(own: Mapping[int, Estimate], every: Sequence[Mapping[int, Estimate]]) -> dict[str, str]:
    turns = sorted({turn for each in every for turn in each})
    return {
        f"turn {turn}": shown(own[turn].value, ".4f") if turn in own else shown(None, "")
        for turn in turns
    }


def _by_category(rows: Sequence[Scores] | Sequence[Wins]) -> str | None:
    names = sorted({name for one in rows for name in one.by_category})
    if not names:
        return None
    return markdown_table(
        [
            {"model": printable(one.model), "judge": printable(one.judge)}
            | {
                printable(name): shown(one.by_category[name].value, ".2f")
                if name in one.by_category
                else shown(None, "")
                for name in names
            }
            for one in rows
        ],
        left=2,
    )


def _notes(
    found: Judgements, single: Sequence[Scores], pairs: Sequence[Wins], unknown: int
) -> list[str]:
    notes = []
    if found.unreadable:
        notes.append(
            f"not read, as they are no judgements: {some([printable(place) for place in found.unreadable])}"
        )
    if unknown:
        notes.append(f"{unknown} judgements are of questions without a category")
    failures = [(printable(one.model), one.failures) for one in single]
    failures += [(printable(one.model), one.failures) for one in pairs]
    for model, causes in failures:
        notes += [f"{model}: {count} dropped: {cause}" for cause, count in causes.items()]
    notes += [
        f"{printable(one.model)}: {one.outside} scores are not from 1 to 10; they count"
        for one in single
        if one.outside
    ]
    repeated = [(one.model, one.repeated) for one in single]
    repeated += [(one.model, one.repeated) for one in pairs]
    notes += [
        f"{printable(model)}: {count} judgements repeat a question's turn; they count"
        for model, count in repeated
        if count
    ]
    return notes
