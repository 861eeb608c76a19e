"""The rewards of the workflow's own judges on the gate's labelled pairs."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wim.errors import UserError
from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.study.measure import Measured, Pairs, measured
from wim.evaluation.study.recorded_rewards import LONGER
from wim.settings.critique_rewards import NamedReward
from wim.tables.files import read_table, read_tables
from wim.tables.schemas import PANELS, RATINGS, REWARDS

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


def labelled_figures(
    pairs: Sequence[LabelledPair],
    rewards: Sequence[Path],
    ratings: Sequence[Path],
    settings: Mapping[str, NamedReward],
) -> dict[str, Measured]:
    """The figures of the rewards of the policy `labelled`, by their names.

    Args:
        pairs: The labelled pairs; those of which neither is better are left out.
        rewards: The table of each reward.
        ratings: The shards of all judges, by which their tokens are counted.
        settings: Each reward's. Of a judge without a reward that is or has its cosine, rewards are
            compared with no cosine, since another judge's is of other critiques.

    Raises:
        UserError: Every label is a tie.
    """
    labelled = [each for each in pairs if each.better != "tie"]
    if not labelled:
        raise UserError(
            f"gate.pairs: found {len(pairs)} pairs, each labelled a tie, on which no reward can be "
            "measured; label pairs of which one response is better, or leave gate.pairs out."
        )
    scored = {path.stem: _columns(path) for path in rewards}
    tokens = _tokens(ratings)
    longer = _signed(labelled, [(len(one.response_a), len(one.response_b)) for one in labelled])
    prompts = ["\n".join(message["content"] for message in one.context) for one in labelled]
    subsets = [one.subset for one in labelled]
    cosines = {
        judge: _leads(labelled, values)
        for name, found in scored.items()
        for values in [_cosines(found, settings[name])]
        for judge in set(found["judge"].values()) - {""}
        if any(value is not None for value in values.values())
    }
    nothing = longer * float("nan")
    free = Pairs(prompts, subsets, longer, next(iter(cosines.values()), nothing))
    figures = {LONGER: measured(free, longer, "", 0.0)}
    for name, found in scored.items():
        judge = next(iter(found["judge"].values()), "")
        # A panel's judges are several, and so are their cosines.
        cosine = cosines.get(judge, nothing if judge and "+" not in judge else free.cosine)
        of_set = Pairs(prompts, subsets, longer, cosine)
        cost = 2 * sum(tokens.get(each, 0.0) for each in judge.split("+")) if judge else 0.0
        figures[name] = measured(of_set, _leads(labelled, found["reward"]), judge, cost)
        panel = settings[name].kind == "panel"
        samples = [] if panel else _samples(found["members"])
        leads = [_leads(labelled, values) for values in samples]
        for count in range(1, len(leads) + 1):
            figures[f"{name} x {count}"] = _of_samples(
                of_set, leads, count, judge, cost * count / len(leads)
            )
    return figures


def _cosines(
    found: Mapping[str, Mapping[str, Any]], settings: NamedReward
) -> Mapping[str, float | None]:
    """The cosines of a rewards table; of several samples the reward itself, where it is a cosine."""
    alone = settings.kind == "mixture" and settings.zeta == 1 and not settings.length_penalty
    values: Mapping[str, float | None] = found["reward" if alone else "cosine"]
    return values


def _of_samples(
    pairs: Pairs, leads: "Sequence[Array]", count: int, judge: str, tokens: float
) -> Measured:
    """What so many of a judge's samples do, over every choice of them.

    Args:
        pairs: The labelled pairs.
        leads: (pairs,) of each sample; a pair in which one of those chosen has none is left out.
        count: How many are taken together.
        judge, tokens: As in `measured`.
    """
    import numpy as np

    chosen = list(combinations(leads, count))
    repeated = Pairs(
        list(pairs.prompts) * len(chosen),
        list(pairs.subsets) * len(chosen),
        np.tile(pairs.longer, len(chosen)),
        np.tile(pairs.cosine, len(chosen)),
    )
    means = np.concatenate([np.mean(each, axis=0) for each in chosen])
    singles = np.concatenate([np.column_stack(each) for each in chosen])
    return measured(repeated, means, judge, tokens, singles)


def _samples(members: Mapping[str, Any]) -> list[dict[str, float | None]]:
    """The rewards by each sample of the judge, by candidate; none of a judge with one."""
    samples: dict[int, dict[str, float | None]] = {}
    for candidate, each in members.items():
        for member in each or ():
            if member["member"].isdecimal():
                samples.setdefault(int(member["member"]), {})[candidate] = member["reward"]
    return [samples[number] for number in sorted(samples)]


def _columns(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """A rewards table's columns by candidate."""
    import pyarrow.parquet as pq

    panel = "members" in pq.read_schema(path).names
    wanted = ["candidate_id", "judge", "cosine", "reward", *(["members"] if panel else [])]
    table = read_table(path, PANELS if panel else REWARDS, wanted).to_pydict()
    columns = {
        name: dict(zip(table["candidate_id"], table[name], strict=True)) for name in wanted[1:]
    }
    return {"members": {}, **columns}


def _tokens(ratings: Sequence[Path]) -> dict[str, float]:
    """The tokens that each judge wrote on average for a candidate, in all samples."""
    frame = read_tables(ratings, RATINGS, ["candidate_id", "judge", "tokens"]).to_pandas()
    frame["judge"] = frame["judge"].str.partition("~")[0]
    of_candidate = frame.groupby(["judge", "candidate_id"])["tokens"].sum()
    return {str(name): float(mean) for name, mean in of_candidate.groupby("judge").mean().items()}


def _leads(labelled: Sequence[LabelledPair], values: Mapping[str, float | None]) -> "Array":
    """By how much the better response has more (pairs,); NaN where one has no value."""
    found = []
    for pair in labelled:
        a, b = (values.get(each.candidate_id) for each in pair.candidates)
        found.append((float("nan") if a is None else a, float("nan") if b is None else b))
    return _signed(labelled, found)


def _signed(labelled: Sequence[LabelledPair], values: Sequence[tuple[float, float]]) -> "Array":
    import numpy as np

    a, b = np.asarray(values, dtype=np.float64).T
    return np.asarray(np.where([pair.better == "a" for pair in labelled], a - b, b - a))
