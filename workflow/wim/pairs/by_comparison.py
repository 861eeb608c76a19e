"""Preference pairs by a judge of pairs: the response that wins in both orders is chosen."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from wim.pairs.candidates import Candidates
from wim.pairs.table import Preferences, count_never_answered, read_splits, write_preferences
from wim.settings.pairs import PairSettings
from wim.tables.files import read_tables
from wim.tables.schemas import COMPARISONS, CUT

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
    """Write the pairs of an arm that a comparison labels, and the counts of what was left out.

    A score is the probability with which the response was chosen, mean of both orders, so that
    the two of a pair sum to 1. Ties and failed comparisons label nothing.

    Args:
        prompts: The shards of the prompts.
        dialogues: The shards of the first policy, whose candidates are a; then those of the
            second policy, if there is one.
        policies: The one or two policies.
        comparisons: The shards of the comparisons, as many as each policy has.
        settings: Which pairs are made.
        names: The `judge` and `reward` that the pairs come from.
        output: The pairs table.
        exclusions: The counts, as JSON.
        sft_prompts: See `wim.pairs.table.write_preferences`.

    Raises:
        UserError: With the counts, if no training pair is left.
    """
    candidates, splits = Candidates(), read_splits(prompts)
    rows_by_policy: list[dict[str, int]] = []
    completions: list[str] = []
    cut: list[bool] = []
    shards = len(comparisons)
    for place, policy in enumerate(policies):
        row_by_id: dict[str, int] = {}
        for path in dialogues[place * shards : (place + 1) * shards]:
            columns = ["candidate_id", "completion", "finish_reason"]
            first, shard = candidates.add(path, policy, columns)
            ids = shard["candidate_id"].to_pylist()
            row_by_id.update(zip(ids, range(first, first + len(ids)), strict=True))
            completions += shard["completion"].to_pylist()
            cut += [reason == CUT for reason in shard["finish_reason"].to_pylist()]
        rows_by_policy.append(row_by_id)
    excluded: Counter[str] = Counter()
    preferences = Preferences()
    for row in read_tables(comparisons, COMPARISONS, OF_COMPARISONS).to_pylist():
        a, b = rows_by_policy[0][row["a_id"]], rows_by_policy[-1][row["b_id"]]
        preference = row["preference_a"]
        if row["winner"] is None:
            excluded[f"comparisons with status {row['status']}"] += 1
        elif settings.cut == "drop" and (cut[a] or cut[b]):
            excluded["comparisons of completions that were cut at max_new_tokens"] += 1
        elif completions[a] == completions[b]:
            excluded["comparisons of identical completions"] += 1
        elif row["winner"] == "tie":
            excluded["comparisons that tie"] += 1
        elif abs(2 * preference - 1) < settings.min_margin:
            excluded["comparisons below the minimum margin"] += 1
        elif row["winner"] == "a":
            preferences.append(a, b, preference, 1 - preference)
        else:
            preferences.append(b, a, 1 - preference, preference)
    write_preferences(
        splits=splits,
        candidates=candidates,
        preferences=preferences,
        excluded=excluded,
        considered=len(completions),
        names=names,
        source=comparisons[0].parent,
        output=output,
        exclusions=exclusions,
        sft_prompts=sft_prompts,
        never_answered=count_never_answered(dialogues),
    )
