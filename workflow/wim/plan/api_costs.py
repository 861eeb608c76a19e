"""Tokens and money that planned jobs will take of models behind an API, estimated."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wim.engines.transport.usage import spending
from wim.errors import UserError
from wim.plan.reasons import Job
from wim.settings.evaluated import Evaluated
from wim.settings.models import thinking_room

if TYPE_CHECKING:
    from wim.settings.config import Config

QUERYING = (
    *("generate_dialogues", "rate_candidates", "rate_samples", "rate_aspects"),
    "compare_candidates",
)
# Tokens of a chat's own marks, of a judge's templates, and of an answer that is one of a few choices.
CHAT, TEMPLATE, CHOICE = 40, 120, 10


@dataclass(frozen=True)
class Tokens:
    """Tokens of prompts and of answers, and where their number is known from."""

    prompts: float
    answers: float
    known_from: str


@dataclass(frozen=True)
class Estimate:
    """What planned jobs of one rule will take of one model. money: None where it has no price."""

    model: str
    rows: int
    each: Tokens
    money: float | None

    @property
    def line(self) -> str:
        """It in words."""
        prompts, answers = self.rows * self.each.prompts, self.rows * self.each.answers
        money = "" if self.money is None else f", {self.money:,.4f} by `prices`"
        return (
            f"  api   {self.model}: {self.rows:,} rows, estimate {prompts:,.0f} prompt and "
            f"{answers:,.0f} answer tokens{money} ({self.each.prompts:,.0f} + "
            f"{self.each.answers:,.0f} a row: {self.each.known_from})"
        )


def estimates(
    rule: str, missing: Sequence[tuple[Job, int | None]], config: "Config"
) -> Iterator[Estimate]:
    """What jobs of a rule will take of each model behind an endpoint.

    Args:
        rule: The rule.
        missing: Its jobs, each with the rows that it has to compute, or None where the stage before
            has not run.
        config: The configuration.
    """
    rows: dict[str, float] = {}
    assumed: dict[str, Tokens] = {}
    for job, known in missing if rule in QUERYING else ():
        models = _models(job, config)
        for model in models:
            if config.models[model].engine != "endpoint":
                continue
            try:
                of_job = _expected_rows(job, config) if known is None else known
                if of_job is None:
                    continue
                rows[model] = rows.get(model, 0.0) + of_job / len(models)
                assumed.setdefault(model, _assumed(job, model, config))
            except UserError:
                # The stage that reads the prompts says what is wrong with them.
                continue
    spent = spending()
    for model, number in rows.items():
        each, price = assumed[model], config.prices.get(model)
        if (rule, model) in spent and (before := spent[rule, model].total).rows and before.prompts:
            # A pair of candidates is queried in both orders, each a row of its own.
            orders = 2 if rule == "compare_candidates" else 1
            each = Tokens(
                orders * before.prompts / before.rows,
                orders * before.answers / before.rows,
                f"as {before.rows:,} rows before",
            )
        whole = round(number)
        api = config.models[model].api
        batched = api is not None and api.batch
        money = None
        if price:
            money = price.of(whole * each.prompts, whole * each.answers, batched=batched)
        yield Estimate(model, whole, each, money)


def total_line(found: Sequence[Estimate]) -> str:
    """The sum of some estimates in words."""
    prompts = sum(one.rows * one.each.prompts for one in found)
    answers = sum(one.rows * one.each.answers for one in found)
    priced = [one.money for one in found if one.money is not None]
    money = f", {sum(priced):,.4f} by `prices`" if priced else ""
    unpriced = sorted({one.model for one in found if one.money is None})
    without = f" without {', '.join(unpriced)}, which has no price" if priced and unpriced else ""
    return (
        f"APIs in all: estimate {prompts:,.0f} prompt and {answers:,.0f} answer tokens{money}"
        f"{without}. Jobs whose rows are not known yet count by the number of prompts."
    )


def _models(job: Job, config: "Config") -> list[str]:
    """The names of the models that a job queries."""
    if job.rule == "generate_dialogues":
        settings = config.policy_dialogues(job.wildcards["policy"])
        names = [settings.actor, *([settings.second] if settings.second else [])]
    else:
        names = [config.judges[job.wildcards["judge"]].model]
    return [config.origin_of(name) for name in names]


def _expected_rows(job: Job, config: "Config") -> int | None:
    """Rows of a job whose inputs are not there, by the number of prompts; None if it is not that."""
    from wim.prompts.expected import prompts_of

    policy = job.wildcards.get("policy", "base")
    comparison = config.comparisons.get(job.wildcards.get("comparison", ""))
    if Evaluated.of(policy) or (job.rule == "compare_candidates" and comparison is None):
        return None
    prompts = prompts_of(config.prompts).count / config.prompts.shards
    settings = config.policy_dialogues(policy)
    if job.rule == "generate_dialogues":
        return round(prompts * settings.rows_per_prompt)
    if comparison is None:
        return round(prompts * settings.candidates * _samples(job, config))
    counts = [config.policy_dialogues(each).candidates for each in comparison.between]
    pairs = counts[0] * counts[1] if len(counts) > 1 else counts[0] * (counts[0] - 1) // 2
    return round(prompts * min(pairs, comparison.per_context or pairs))


def _samples(job: Job, config: "Config") -> int:
    several = job.rule in ("rate_samples", "rate_aspects")
    return config.judges[job.wildcards["judge"]].samples if several else 1


def _assumed(job: Job, model: str, config: "Config") -> Tokens:
    """Tokens of a row of which none was queried yet: of long answers, so at most."""
    from wim.prompts.expected import prompts_of

    prompts, room = prompts_of(config.prompts), thinking_room(config.models[model].thinking)
    source = f"at most, of {prompts.known_from} and max_new_tokens"
    policy: Mapping[str, str] = job.wildcards
    settings = config.policy_dialogues(policy.get("policy", "base"))
    answer = settings.sampling.max_new_tokens
    if job.rule == "generate_dialogues":
        turns = 1 if settings.second is None else 2 * settings.exchanges
        before = (turns - 1) * answer / 2
        return Tokens(prompts.mean + CHAT + before, answer + room, source)
    judge = config.judges[job.wildcards["judge"]]
    if job.rule == "compare_candidates":
        each = prompts.mean + CHAT + TEMPLATE + 2 * answer
        return Tokens(2 * each, 2 * (CHOICE + room), source)
    critique = judge.sampling.max_new_tokens
    read = prompts.mean + CHAT + TEMPLATE + answer
    if judge.method != "structured":
        return Tokens(read, critique + room, source)
    # Each number, of an aspect or the only one, is queried once more, with the critique in view.
    numbers = max(1, len(judge.questions))
    return Tokens(
        read + numbers * (read + critique),
        critique + numbers * CHOICE + (1 + numbers) * room,
        source,
    )
