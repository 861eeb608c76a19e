"""Read a run's configuration: from what the user wrote to a checked `Config`."""

from collections.abc import Mapping
from typing import Any

from wim.errors import UserError
from wim.settings.checks.all import check
from wim.settings.config import Config
from wim.settings.evaluations import without_training
from wim.settings.grid import in_terms_of_grids, with_arms_of_grids
from wim.settings.reading import check_keys, validated, with_defaults
from wim.settings.rounds import with_counts_of_rounds
from wim.settings.unstorable_text import check_texts


def load_config(values: Mapping[str, Any], source: str = "config") -> Config:
    """Make a checked configuration of its mapping; what is left out has its default.

    Args:
        values: The configuration as it was written.
        source: The file's name, for errors.

    Raises:
        UserError: One line per problem: the source, the key, what was found, what to write.
    """
    try:
        check_keys(values)
        check_texts(values)
        values = without_training(values)
        written = with_arms_of_grids(values, Config().model_dump(mode="json")["rewards"])
        try:
            filled = with_defaults(Config, with_counts_of_rounds(written))
            config = validated(Config, filled, "")
            check(config)
        except UserError as error:
            raise UserError(in_terms_of_grids(str(error), values)) from None
    except UserError as error:
        raise UserError(f"{source}: " + str(error).replace("\n", f"\n{source}: ")) from None
    return config
