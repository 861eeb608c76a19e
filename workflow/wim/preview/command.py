"""`wim preview`: a few prompts through actor, judges, encoder and rewards, in seconds."""

import argparse
import tempfile
import time
from pathlib import Path

from wim import paths
from wim.errors import UserError
from wim.settings.configfile import add_configfile, config_of


def add_arguments(command: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_configfile(command)
    command.add_argument(
        "number", nargs="?", type=_count, default=3, metavar="N", help="how many prompts (3)"
    )
    command.add_argument(
        "--skip", type=_count, default=0, metavar="K", help="leave out the first K prompts"
    )
    command.add_argument(
        "--judge", action="append", metavar="NAME", help="this judge alone; may be repeated"
    )


def preview(arguments: argparse.Namespace) -> None:
    """Run the stages and print what came out of them."""
    from rich.console import Console

    from wim.dag.inputs import Inputs
    from wim.job import _configure_environment, log_to, usable_cores
    from wim.preview.show import show_preview
    from wim.preview.stages import Preview
    from wim.provenance.code import PACKAGE

    config = config_of(arguments.configfile)
    judges = arguments.judge or config.consulted_judges
    for name in judges:
        if name not in config.judges or not config.judges[name].rates:
            known = [each for each, judge in config.judges.items() if judge.rates]
            raise UserError(f"--judge: found '{name}'; write one of: {', '.join(known) or 'none'}.")
    started = time.monotonic()
    _configure_environment(usable_cores())
    log_to(Path(paths.log("preview")))
    with tempfile.TemporaryDirectory() as folder:
        stages = Preview(config, Inputs(config, PACKAGE.parents[1]), Path(folder), judges)
        found = stages.run(arguments.number, arguments.skip)
    console = Console()
    show_preview(found, console)
    seconds = time.monotonic() - started
    console.print(
        f"{len(found.prompts)} prompts, {len(found.candidates)} candidates in {seconds:.0f} s. "
        f"Their rows are in the store ({config.store}); a run finds them there.",
        highlight=False,
        markup=False,
    )


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"found {text!r}; write a whole number")
    return int(text)
