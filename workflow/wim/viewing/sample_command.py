"""`wim sample-pairs`: a page of the pairs that are worth a label, and how many labels it takes."""

import argparse
from collections import Counter
from pathlib import Path

from wim.errors import UserError
from wim.settings.configfile import add_configfile, config_of


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_configfile(command)
    command.add_argument("arm", nargs="?", help="whose pairs; needed where there are several arms")
    command.add_argument("--round", type=_count, default=1, metavar="R", help="of its rounds (1)")
    command.add_argument("--number", type=_count, metavar="N", help="how many pairs to draw")
    command.add_argument(
        "--width",
        type=_width,
        default=0.2,
        metavar="W",
        help="width of the 95 %% interval that the labels are to give, from end to end (0.2); "
        "without --number, as many pairs are drawn as that takes",
    )
    command.add_argument(
        "--accuracy",
        type=_share,
        default=0.5,
        metavar="P",
        help="the accuracy that is expected; one half needs most labels (0.5)",
    )
    command.add_argument(
        "--equally",
        action="store_true",
        help="as many pairs of each stratum, to see more of rare ones; without it each has its "
        "share, so that an accuracy on the labels is an estimate of that on all pairs",
    )
    command.add_argument(
        "--output", type=Path, default=Path("to-label.html"), help="the page (to-label.html)"
    )


def sample_pairs(arguments: argparse.Namespace) -> None:
    """Write the page and say what it has."""
    from wim.viewing.labelling import write_labelling_page
    from wim.viewing.strata import interval_width, labels_needed

    config = config_of(arguments.configfile)
    arm = arguments.arm or (next(iter(config.arms)) if len(config.arms) == 1 else None)
    if arm not in config.arms:
        names = ", ".join(config.arms) or "none"
        raise UserError(f"wim sample-pairs: found {arm!r}; write the name of an arm: {names}.")
    needed = labels_needed(arguments.width, arguments.accuracy)
    drawn, pairs, prompts = write_labelling_page(
        config,
        arm,
        arguments.round,
        number=arguments.number or needed,
        equally=arguments.equally,
        output=arguments.output,
    )
    print(f"{arm}, round {arguments.round}: {pairs:,} pairs of {prompts:,} prompts")
    for stratum, count in sorted(Counter(drawn).items()):
        print(f"{count:>6}  {stratum}")
    print(f"{len(drawn):>6}  in all, at most one of each prompt: {arguments.output}")
    print(
        f"A 95 % interval {arguments.width:g} wide takes {needed:,} labels at an accuracy of "
        f"{arguments.accuracy:g}; {len(drawn):,} give one of "
        f"{interval_width(len(drawn), arguments.accuracy):.2f}. Ties and skipped pairs widen it."
    )
    print("Open the page, label, save, and write the saved file's path to gate.pairs.")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"found {text!r}; write a whole number, 1 or more")
    return int(text)


def _width(text: str) -> float:
    return _between(text, 0.005, 0.95)


def _share(text: str) -> float:
    return _between(text, 0.0, 1.0)


def _between(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"found {text!r}; write a number from {low:g} to {high:g}")
    return value
