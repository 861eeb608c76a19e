"""What a run has cost, in words and numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from wim.display.markdown import UNDEFINED, markdown_table, shown
from wim.engines.transport.usage import Spending
from wim.reports.times import StageTimes
from wim.settings.prices import Price

NO_USAGE = "No model behind a server was queried.\n"


@dataclass(frozen=True)
class Costs:
    """What a run has cost.

    Attributes:
        times: Of each stage.
        spent: Of each stage and model behind a server.
        prices: Of models.
    """

    times: Mapping[str, StageTimes]
    spent: Mapping[tuple[str, str], Spending]
    prices: Mapping[str, Price]

    def money(self, stage: str, model: str) -> float | None:
        """What a stage has spent on a model; None where it has no price."""
        if model not in self.prices:
            return None
        price, spent = self.prices[model], self.spent[stage, model]
        of_each = ((spent.single, False), (spent.batched, True))
        return sum(price.of(s.prompts, s.answers, s.cached, batch) for s, batch in of_each)

    @property
    def total(self) -> float | None:
        """All the money; None where no model that was queried has a price."""
        known = [found for key in self.spent if (found := self.money(*key)) is not None]
        return sum(known) if known else None


def as_json(found: Costs) -> dict[str, object]:
    """The costs as numbers, by stage and model."""
    usage: dict[str, dict[str, object]] = {}
    for (stage, model), spent in found.spent.items():
        usage.setdefault(stage, {})[model] = {
            **asdict(spent),
            "money": found.money(stage, model),
        }
    return {
        "stages": {stage: asdict(one) for stage, one in found.times.items()},
        "usage": usage,
        "money": found.total,
    }


def costs_text(found: Costs) -> str:
    """The costs in Markdown."""
    return "\n".join(
        [
            "# What the run has cost",
            "",
            "## Time",
            "",
            "The last run of each job. Jobs that run side by side count one after the other. GPUs",
            "are those that a job requested as its resource `gpu`, or that SLURM gave it.",
            "",
            _times_table(found.times),
            "",
            "## Tokens and money",
            "",
            "Of all runs in this working directory, as servers have counted them. Rows that were",
            "taken from the row store cost nothing.",
            "",
            _usage_table(found) if found.spent else NO_USAGE,
        ]
    )


def _times_table(times: Mapping[str, StageTimes]) -> str:
    rows = [
        {
            "stage": f"`{stage}`",
            "jobs": f"{one.jobs:,}",
            "hours": _hours(one.seconds),
            "GPU-hours": _hours(one.gpu_seconds) if one.gpu_seconds else UNDEFINED,
            "most memory (MB)": f"{one.peak:,.0f}",
        }
        for stage, one in times.items()
    ]
    whole = times.values()
    gpu = sum(one.gpu_seconds for one in whole)
    rows.append(
        {
            "stage": "all",
            "jobs": f"{sum(one.jobs for one in whole):,}",
            "hours": _hours(sum(one.seconds for one in whole)),
            "GPU-hours": _hours(gpu) if gpu else UNDEFINED,
            "most memory (MB)": f"{max((one.peak for one in whole), default=0):,.0f}",
        }
    )
    return markdown_table(rows)


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:,.3f}"


def _usage_table(found: Costs) -> str:
    rows = []
    for (stage, model), spent in found.spent.items():
        total = spent.total
        rows.append(
            {
                "stage": f"`{stage}`",
                "model": f"`{model}`",
                "rows": f"{total.rows:,}",
                "responses": f"{total.requests:,}",
                "prompt tokens": f"{total.prompts:,}",
                "of these cached": f"{total.cached:,}",
                "answer tokens": f"{total.answers:,}",
                "in batches": f"{spent.batched.requests:,}",
                "money": shown(found.money(stage, model), ",.4f"),
            }
        )
    text = markdown_table(rows, left=2) + "\n"
    uncounted = sum(spent.total.uncounted for spent in found.spent.values())
    if uncounted:
        text += f"\n{uncounted:,} responses came without a count of tokens, and are not in these.\n"
    if found.total is not None:
        text += f"\nAll together {found.total:,.4f}, by the prices that are set now.\n"
    unpriced = sorted({model for _, model in found.spent if model not in found.prices})
    if unpriced:
        text += f"\nWithout a price under `prices`: {', '.join(unpriced)}.\n"
    return text
