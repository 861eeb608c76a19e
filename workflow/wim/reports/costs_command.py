"""`wim costs`: what the runs in this working directory have cost so far."""

import argparse

from wim.engines.transport.usage import spending
from wim.reports.costs_text import Costs, costs_text
from wim.reports.times import stage_times
from wim.settings.configfile import add_configfile, config_of


def add_arguments(costs: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_configfile(costs)


def show_costs(arguments: argparse.Namespace) -> None:
    """Print the hours of each stage, and the tokens and the money of models behind a server."""
    prices = config_of(arguments.configfile).prices
    print(costs_text(Costs(stage_times(), spending(), prices)))
