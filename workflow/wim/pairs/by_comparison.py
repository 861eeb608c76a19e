"""Preference pairs labelled by a judge of pairs: the response that wins in both orders is chosen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from wim.pairs.table import TEXTS, Preference, Texts, write_preferences
from wim.settings.pairs import PairSettings
from wim.tables.files import read_candidates, read_tables
from wim.tables.schemas import COMPARISONS

OF_COMPARISONS = ["a_id", "b_id", "status", "winner", "preference_a"]


def pair_compared(
    prompts: Sequence[Path],
    dialogues: Sequence[Path],
    policies: Sequence[str],
    comparisons: Sequence[Path],
    settings: PairSettings,
    names: Mapping[str, str],
    output: Path,
    exclusions: Path,
    sft_prompts: float | None = None,
) -> None:
    """The pairs of an arm that a comparison labels, and the counts of what was left out.

    dialogues: the shards of the first policy, whose candidates are a, and behind them those of the
    second, if there is one. A score is the probability with which the response was chosen, mean of both orders, so
    that the two of a pair sum to 1. Ties and failed comparisons label nothing. sft_prompts: see
    wim.pairs.table. Raises UserError with the counts if no training pair is left.
    """
    texts = Texts()
    places: list[dict[str, int]] = []
    completions: list[str] = []
    count = len(comparisons)
    for place, policy in enumerate(policies):
        rows: dict[str, int] = {}
        for path in dialogues[place * count : (place + 1) * count]:
            table = read_candidates(path, TEXTS)
            first = texts.add(table, policy)
            ids = table["candidate_id"].to_pylist()
            rows.update(zip(ids, range(first, first + len(ids)), strict=True))
            completions += table["completion"].to_pylist()
        places.append(rows)
    excluded: Counter[str] = Counter()
    found = []
    for row in read_tables(comparisons, COMPARISONS, OF_COMPARISONS).to_pylist():
        a, b = places[0][row["a_id"]], places[-1][row["b_id"]]
        preference = row["preference_a"]
        if row["winner"] is None:
            excluded[f"comparisons with status {row['status']}"] += 1
        elif completions[a] == completions[b]:
            excluded["comparisons of identical completions"] += 1
        elif row["winner"] == "tie":
            excluded["comparisons that tie"] += 1
        elif abs(2 * preference - 1) < settings.min_margin:
            excluded["comparisons below the minimum margin"] += 1
        elif row["winner"] == "a":
            found.append(Preference(a, b, preference, 1 - preference))
        else:
            found.append(Preference(b, a, 1 - preference, preference))
    source = comparisons[0].parent
    write_preferences(
        *(prompts, texts, found, excluded, len(completions), names, source),
        *(output, exclusions, sft_prompts),
    )
