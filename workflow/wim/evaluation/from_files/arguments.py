"""The options that the commands on files of others share."""

import argparse


def add_common(parser: argparse.ArgumentParser) -> None:
    """--seed and --json."""
    parser.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="of the bootstraps (%(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="every figure, as JSON")


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}; write a whole number, 0 or more")
    return int(text)
