"""The summary's line on which of its rewards were measured, and on what."""

from collections.abc import Mapping, Sequence

NONE = (
    "\nNone of these rewards has been measured on labelled pairs or recorded critiques: "
    "`snakemake reward_gate` and `snakemake reward_study` do.\n"
)


def measured_text(
    rewards: Sequence[str], measured: Mapping[str, Sequence[Mapping[str, str]]]
) -> str:
    """A line that names the rewards that were measured, with their accuracies, and the others.

    Args:
        rewards: Their names.
        measured: Of each that was measured, on which `set` with how many `pairs`, and the
            `accuracy`.
    """
    known = [name for name in rewards if measured.get(name)]
    if not known:
        return NONE if rewards else ""
    said = [
        f"`{name}` "
        + ", ".join(
            f"{one['accuracy']} on {one['set']} ({one['pairs']} pairs)" for one in measured[name]
        )
        for name in known
    ]
    others = [f"`{name}`" for name in rewards if name not in known]
    rest = f"; not measured: {', '.join(others)}" if others else ""
    return f"\nMeasured, by how often the better response has the higher reward: {'; '.join(said)}{rest}.\n"
