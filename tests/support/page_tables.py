"""Tables of a small run for the page: prompts, candidates, judgements, two rewards and pairs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from support.builders import candidate, pair, prompt, rating, user, write_pairs
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, PROMPTS, RATINGS, REWARDS, Message
from wim.viewing.page import page
from wim.viewing.sources import PageFiles

ARMS = [{"arm": "wim", "round": 1, "reward": "wim", "judge": "j"}]
BOUNDS = {"pairs": 10_000, "characters": 60_000_000}


@dataclass(frozen=True)
class Two:
    """Two candidates for one prompt, the first chosen where both have a reward.

    Attributes:
        texts: Their completions.
        rewards: By the reward `wim`; None where the judge failed.
        numbers: By the reward `number`.
        context: The conversation; None asks for the prompt's number.
        critiques: What the judge says is missing.
        finish: Their finish reasons.
        split: train or eval.
    """

    texts: tuple[str, str]
    rewards: tuple[float | None, float | None] = (1.0, 0.0)
    numbers: tuple[float | None, float | None] = (1.0, 0.0)
    context: list[Message] | None = None
    critiques: tuple[str, str] = ("It lacks dates.", "It lacks names.")
    finish: tuple[str, str] = ("stop", "stop")
    split: str = "train"


def write_tables(folder: Path, rows: Sequence[Two]) -> PageFiles:
    """Write the tables of these candidates; prompt `p<n>`, candidates `p<n>a` and `p<n>b`."""
    prompts, candidates, ratings, pairs = [], [], [], []
    rewards: dict[str, list[dict[str, Any]]] = {"wim": [], "number": []}
    for place, row in enumerate(rows):
        name = f"p{place}"
        context = row.context or user(f"Question {place}?")
        prompts.append(prompt(name, messages=context, split=row.split))
        for sample, letter in enumerate("ab"):
            shared = {"prompt_id": name, "context": context, "sample": sample}
            text, finish = row.texts[sample], row.finish[sample]
            named = f"{name}{letter}"
            candidates.append(candidate(named, completion=text, finish_reason=finish, **shared))
            failed = row.rewards[sample] is None
            said = {"status": "truncated" if failed else "ok", "wim": row.critiques[sample]}
            ratings.append(rating(named, raw=f"{row.critiques[sample]} [[7]]", **said))
            for reward, values in (("wim", row.rewards), ("number", row.numbers)):
                value = values[sample]
                rewards[reward].append(
                    {
                        **{"candidate_id": named, "prompt_id": name, "turn": 1, "judge": "j"},
                        **{"status": "ok" if value is not None else "truncated"},
                        **{"cosine": value, "rating_scaled": None, "reward": value},
                    }
                )
        high, low = row.rewards
        if high is not None and low is not None:
            pairs.append(
                pair(
                    **{"prompt": context, "prompt_id": name, "split": row.split, "reward": "wim"},
                    **{"chosen": row.texts[0], "rejected": row.texts[1]},
                    **{"chosen_id": f"{name}a", "rejected_id": f"{name}b"},
                    **{"score_chosen": high, "score_rejected": low, "margin": high - low},
                )
            )
    tables = PageFiles()
    for names, path, table, found in (
        (tables.prompts, "prompts/000", PROMPTS, prompts),
        (tables.dialogues, "dialogues/base/000", DIALOGUES, candidates),
        (tables.ratings, "ratings/base/j/000", RATINGS, ratings),
    ):
        names.append(str(folder / f"{path}.parquet"))
        write_table(names[0], table, as_arrow(table, found))
    for name, values in rewards.items():
        path = str(folder / f"rewards/base/{name}.parquet")
        write_table(path, REWARDS, pa.Table.from_pylist(values, schema=REWARDS.schema))
        tables.rewards.append(path)
    tables.pairs.append(str(write_pairs(folder / "pairs/wim/round1.parquet", pairs)))
    return tables


def write_page_of(folder: Path, rows: Sequence[Two], **settings: Any) -> Path:
    """Write the page of these candidates; settings: arguments of `page` in place of the usual."""
    output = folder / "page.html"
    given = {"arms": ARMS, "evaluations": [], "controls": [], "bounds": BOUNDS, "seed": 0}
    page(inputs=write_tables(folder, rows), output=output, **{**given, **settings})
    return output
