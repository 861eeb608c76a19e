"""A page that holds a sample of an arm's pairs, to be labelled and nothing else."""

from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wim.dag.inputs import Inputs
from wim.dag.page import Page
from wim.dag.rounds import Rounds
from wim.errors import UserError
from wim.provenance.code import PACKAGE
from wim.tables.files import read_table
from wim.tables.schemas import PAIRS
from wim.viewing.content import Content, disagreements, gather
from wim.viewing.html import write_page
from wim.viewing.page import page_content
from wim.viewing.sample import PromptSample
from wim.viewing.sources import PageFiles, sources_of
from wim.viewing.strata import DrawnFrom, draw_pairs

if TYPE_CHECKING:
    from wim.settings.config import Config

TITLE = "wim: pairs to label"


def write_labelling_page(
    config: "Config", arm: str, number_of_round: int, number: int, equally: bool, output: Path
) -> tuple[list[str], int, int]:
    """Write the page of a sample of pairs.

    Args:
        config: The run's configuration; its tables are in the working directory.
        arm: Whose pairs are drawn.
        number_of_round: Of its rounds.
        number: How many are drawn, at most one of each prompt.
        equally: See `wim.viewing.strata.draw_pairs`.
        output: The page.

    Returns:
        The stratum of each pair that was drawn, and how many pairs and prompts there are.

    Raises:
        UserError: The run has not made these pairs yet, or the arm has no such round.
    """
    inputs = Inputs(config, PACKAGE.parents[1])
    if (arm, number_of_round) not in Rounds(inputs).all:
        count = config.arm_rounds(arm).count
        raise UserError(f"--round: found {number_of_round}; {arm} has {count} rounds.")
    shown = Page(inputs, only=(arm, number_of_round))
    files = _that_exist(shown)
    prompt_ids = read_table(files.pairs[0], PAIRS, ["prompt_id"])["prompt_id"].to_pylist()
    everything = PromptSample(frozenset(prompt_ids), len(set(prompt_ids)), len(prompt_ids))
    content = _gathered(files, shown, everything)
    candidates = _candidates(content, disagreements(content, shown.controls))
    drawn = {
        (candidates[place].chosen_id, candidates[place].rejected_id): stratum
        for place, stratum in draw_pairs(candidates, number, config.seed, equally).items()
    }
    of_drawn = {
        pair.prompt_id for pair in candidates if (pair.chosen_id, pair.rejected_id) in drawn
    }
    content = _gathered(files, shown, replace(everything, prompt_ids=frozenset(of_drawn)))
    _keep(content, drawn)
    columns = page_content(content, shown.controls, everything, config.seed)
    write_page(output, TITLE, columns | {"outcomes": None})
    return list(drawn.values()), len(candidates), everything.of


def _that_exist(shown: Page) -> PageFiles:
    """The tables of a page. Judgements and rewards that are not made yet are left out."""
    for file in (*shown.pairs, *shown.prompts, *shown.dialogues):
        if not Path(file).exists():
            raise UserError(f"{file}: no such file; run `snakemake -- {shown.pairs[0]}` first.")
    named = ((each.name, getattr(shown, each.name)) for each in fields(PageFiles))
    return PageFiles(**{name: [file for file in of if Path(file).exists()] for name, of in named})


def _gathered(files: PageFiles, shown: Page, sample: PromptSample) -> Content:
    return gather(
        sources_of(files, shown.arms),
        prompts=[Path(file) for file in files.prompts],
        comparisons=[Path(file) for file in files.comparisons],
        pairs=[Path(file) for file in files.pairs],
        sample=sample,
    )


def _keep(content: Content, drawn: Mapping[tuple[str, str], str]) -> None:
    """Leave out the pairs that are not drawn, and give the others their strata."""
    names = list(zip(content.pairs["chosen_id"], content.pairs["rejected_id"], strict=True))
    places = [place for place, name in enumerate(names) if name in drawn]
    content.pairs = {name: [of[place] for place in places] for name, of in content.pairs.items()}
    content.pairs["subset"] = [drawn[names[place]] for place in places]


def _candidates(content: Content, against: list[list[str]]) -> list[DrawnFrom]:
    """What decides whether each pair is drawn."""
    texts, pairs = content.candidates["completion"], content.pairs
    return [
        DrawnFrom(
            prompt_id=pairs["prompt_id"][place],
            chosen_id=pairs["chosen_id"][place],
            rejected_id=pairs["rejected_id"][place],
            margin=pairs["margin"][place],
            lengths=(len(texts[pairs["chosen"][place]]), len(texts[pairs["rejected"][place]])),
            disagrees=bool(of),
        )
        for place, of in enumerate(against)
    ]
