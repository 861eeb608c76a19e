"""The page: pairs, candidates and evaluations of a run, for a person to read and to label."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wim.tables.ratings import Status
from wim.viewing.content import Content, disagreements, gather
from wim.viewing.html import write_page
from wim.viewing.outcomes import wins_and_losses
from wim.viewing.sample import PromptSample, sample_prompts
from wim.viewing.sources import PageInputs, sources_of

logger = logging.getLogger(__name__)
TITLE = "wim: pairs and candidates"


def page(
    inputs: PageInputs,
    arms: Sequence[Mapping[str, Any]],
    evaluations: Sequence[Mapping[str, Any]],
    controls: Sequence[str],
    bounds: Mapping[str, int],
    seed: int,
    output: Path,
) -> None:
    """Write the page as one HTML file.

    Args:
        inputs: The tables to show.
        arms: `arm`, `round`, `reward` and `judge` of each round of the arms.
        evaluations: See `wim.viewing.outcomes.wins_and_losses`.
        controls: The rewards that measure nothing, whose disagreement is none.
        bounds: The most `pairs` and the most `characters`; above them prompts are drawn by seed.
        seed: The run's.
        output: The file.
    """
    sources = sources_of(inputs, arms)
    pairs = [Path(path) for path in inputs.pairs]
    sample = sample_prompts(sources, pairs, bounds["pairs"], bounds["characters"], seed)
    content = gather(
        sources,
        prompts=[Path(path) for path in inputs.prompts],
        comparisons=[Path(path) for path in inputs.comparisons],
        pairs=pairs,
        sample=sample,
    )
    outcomes = wins_and_losses(evaluations, sources, inputs.comparisons, content, sample)
    shown = page_content(content, controls, sample, seed) | {"outcomes": outcomes}
    write_page(output, TITLE, shown)
    logger.info(
        "page: %d pairs, %d candidates%s: %s",
        len(content.pairs.get("chosen", [])),
        len(content.place),
        "" if sample.whole else f", of {len(sample.prompt_ids)} of {sample.of} prompts",
        output,
    )


def page_content(
    content: Content, controls: Sequence[str], sample: PromptSample, seed: int
) -> dict[str, Any]:
    """The content as the page's script reads it."""
    columns = asdict(content)
    columns.pop("place")
    if content.pairs:
        columns["pairs"]["against"] = disagreements(content, controls)
        for name in ("chosen_id", "rejected_id", "prompt_id"):
            columns["pairs"].pop(name)
    kept = {"prompts": len(sample.prompt_ids), "of": sample.of, "pairs": sample.pairs}
    return columns | {
        "seed": seed,
        "sample": None if sample.whole else kept,
        "usable": [status.value for status in Status if status.usable],
        "controls": list(controls),
    }
