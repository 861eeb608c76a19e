"""Tables that were made and are gone, which Snakemake does not make again by itself."""

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path

from wim import paths
from wim.provenance.snakemake_records import RECORDS

SHARDED = (
    *(paths.PROMPT_SHARD, paths.ROUND_PROMPTS, paths.DIALOGUES, paths.RATINGS),
    *(paths.EMBEDDINGS, paths.COMPARISONS, paths.EVALUATION_PROMPTS),
)
SHOWN = 20
WILDCARDS = ("arm", "round", "policy", "judge", "comparison", "evaluation")


def missing_shards(shards: Sequence[str]) -> list[str]:
    """A warning where some shards of a table are gone, so that who reads its folder reads a part.

    Only files that Snakemake has finished once count, and only beside others that are there.

    Args:
        shards: The names of the shards.
    """
    gone = sorted(_gone(shards))
    if not gone:
        return []
    more = f", and {len(gone) - SHOWN} more" if len(gone) > SHOWN else ""
    return [
        f"missing, though made before: {', '.join(gone[:SHOWN])}{more}. Who reads such a folder reads "
        "what is left of the table. What this run does not make again, "
        f"`snakemake -- {' '.join(gone[:SHOWN])}` does."
    ]


def _gone(shards: Sequence[str]) -> Iterator[str]:
    for pattern in SHARDED:
        any_folder = paths.at(pattern, shard="", **dict.fromkeys(WILDCARDS, "*"))
        for folder in Path().glob(str(Path(any_folder).parent)):
            there = {file.stem for file in folder.glob("*.parquet")}
            if not there.isdisjoint(shards):
                absent = (str(folder / f"{name}.parquet") for name in shards if name not in there)
                yield from filter(_was_made, absent)


def _was_made(output: str) -> bool:
    """Whether Snakemake has a record of a file, which has the name of its path in base64."""
    return (RECORDS / base64.urlsafe_b64encode(output.encode()).decode()).exists()
