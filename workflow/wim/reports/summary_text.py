"""The summary in Markdown, with the published figures next to the measured ones."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from wim.display.markdown import UNDEFINED, markdown_table, share_with_interval, shown
from wim.evaluation.audit_text import audit_row

if TYPE_CHECKING:
    from wim.evaluation.audit import Audit
    from wim.reports.summary_figures import RewardSummary, TrainingSummary
    from wim.statistics import Share

# Stranges and Yang 2026, arXiv 2603.04429: the authors' notebooks, all logged ratings together.
PUBLISHED: dict[str, dict[str, float]] = {
    "numeric": {
        "zeta": 0,
        "comparisons": 189_440,
        "ties": 0.4278,
        "mean_delta": 0.926,
        "mean": 6.65,
        "sd": 1.24,
    },
    "WIM": {
        "zeta": 1,
        "comparisons": 189_440,
        "ties": 0.02,
        "mean_delta": 1.369,
        "mean": 7.53,
        "sd": 1.37,
        "agreement_ties_counted": 0.5722,
    },
}
TEXT = """# Summary

**These figures describe the rewards, not their quality.** A reward with few ties and wide
differences need not order responses as people would; nothing here was compared with human
judgement.
{warnings}
## Rewards

{rewards}

{remarks}- Values are points of the published scale, 5 · reward + 5: cosines of 0 and 1 are 5 and
  10 points. One step of a judge's 1-10 number is 1 point as published, (n - 5) / 5, and 1.11
  points here, (2n - 11) / 9; so compare numeric means and differences with care.
- A comparison is two candidates of one context (prompt, dialogue, turn, speaker) that both have
  the reward; a tie is exactly equal rewards. |Δ| is the absolute difference, ties included.
- Agreement is with the judge's number, over the comparisons that the number does not tie. Strict:
  the reward prefers the same candidate, and a tie of the reward is no agreement. Ties counted: a
  tie of the reward counts as agreement, as in the published figure. A reward with zeta below 1
  contains the number and agrees with it by construction.
- In brackets: Wilson's 95 % interval. Comparisons are taken to be independent, so it is too
  narrow where a context has more than two candidates.
- "{undefined}" is a figure that is not defined, or was not published; it is never a zero.

![Distribution of each reward, and of the differences within a context]({rewards_figure})

### Rewards and length

Spearman's rank correlation of reward and completion length in tokens, over all candidates that
have the reward, across prompts.

{lengths}

### Rewards and controls

How often a reward and a control prefer the same of two candidates, over the comparisons that both
decide. Far from 50 %, the reward is partly that control, or its opposite.

{controls}

## Critiques

{critiques}

Of critiques that name something; docs/guide/judging.md says what each figure is. A specificity
near 0 says that critiques are as close to other answers as to their own: the cosine then does not
measure the answer.

![Cosines of critiques with their own response and with another one]({critiques_figure})

### Critiques by script

{scripts}

## Judgements by status

Only `ok` and `nothing_missing` carry a reward, except for rewards of the kind `published`.

{statuses}

## Training

{training}

First and last are single steps, one batch each. Accuracy is the share of pairs whose chosen
completion has the higher implicit reward: in the last step's batch, and over the held-out pairs
at the last evaluation. The DPO margin is in nats.

![Training loss and reward margin over the steps]({training_figure})

### Left out before training

{exclusions}

### Completions that were cut

{cut}

A completion that was cut at max_new_tokens is trained without the token that ends a turn, as it was
generated, so that no model learns to stop there; `pairs.cut: drop` leaves such completions out of
the pairs. One that was cut while its model was still thinking has no answer, and is not judged.
"""
KINDS = {
    "published": "reads judgements as published: a failed one has a reward too, but for `error`.",
    "nothing_missing": "is a log-probability, not on the scale of points.",
    "reward_model": "is a reward model's number, in log-odds, not on the scale of points.",
    "negated": "is a control: it prefers what the same reward with the other sign rejects.",
    "shuffled_wim": "is a control: each response has the critique of another prompt's response.",
    "length": "is a control: it prefers the longer completion. It counts tokens, not points.",
    "brevity": "prefers the shorter completion. It is minus its tokens, not points.",
    "random": "is a control: it prefers at random.",
}
PUBLISHED_SOURCE = "[arXiv 2603.04429](https://arxiv.org/abs/2603.04429), authors' notebooks"


def summary_text(
    rewards: Mapping[str, "RewardSummary"],
    controls: Mapping[str, Mapping[str, "Share"]],
    statuses: Mapping[str, Mapping[str, int]],
    warnings: str,
    scripts: str,
    audits: "Mapping[str, Audit]",
    training: Mapping[str, "TrainingSummary"],
    rewards_figure: str,
    critiques_figure: str,
    training_figure: str,
) -> str:
    """The summary in Markdown, with the figures linked by their names, and warnings before them."""
    return TEXT.format(
        undefined=UNDEFINED,
        warnings=warnings,
        scripts=scripts,
        rewards=markdown_table(
            [*(_reward_row(name, one) for name, one in rewards.items()), *_published_rows()]
        ),
        remarks="".join(f"- {remark}\n" for remark in remarks(rewards)),
        lengths=markdown_table([_length_row(name, one) for name, one in rewards.items()]),
        controls=markdown_table(
            [
                {"reward": f"`{name}`"}
                | {each: share_with_interval(one) for each, one in of.items()}
                for name, of in controls.items()
            ]
        ),
        critiques=markdown_table([audit_row(judge, audit) for judge, audit in audits.items()]),
        critiques_figure=critiques_figure,
        statuses=markdown_table([_status_row(judge, counts) for judge, counts in statuses.items()]),
        training=markdown_table([_training_row(arm, one) for arm, one in training.items()]),
        exclusions=markdown_table(
            [
                {
                    "arm": f"`{arm}`",
                    "candidates": f"{one.candidates:,}",
                    "left out": cause,
                    "count": f"{count:,}",
                }
                for arm, one in training.items()
                for cause, count in (one.excluded or {"nothing": 0}).items()
            ]
        ),
        cut=markdown_table(
            [_cut_row(arm, one.candidates, one.cut) for arm, one in training.items()]
        ),
        rewards_figure=rewards_figure,
        training_figure=training_figure,
    )


def remarks(rewards: Mapping[str, "RewardSummary"]) -> Iterator[str]:
    """What the kinds of reward are, and which figures could not be computed and why."""
    for name, one in rewards.items():
        if one.kind in KINDS:
            yield f"**`{name}`** ({one.kind}) {KINDS[one.kind]}"
        if not one.comparisons:
            yield (
                f"**`{name}`: nothing can be compared.** {one.with_reward:,} of {one.candidates:,} "
                "candidates have the reward, no two of them in one context."
            )
        elif one.judge is None:
            yield f"**`{name}`** reads no judge, so there is no number to agree with."
        elif not one.number_ties.n:
            yield (
                f"**`{name}`: judge `{one.judge}` gave no number to compare with**: no agreement "
                "can be computed."
            )
        elif not one.agreement.n:
            yield (
                f"**`{name}`: the number of judge `{one.judge}` ties on every comparison** "
                f"({one.number_ties.n:,}): no agreement can be computed."
            )
        if one.comparisons and one.ties.count == one.comparisons:
            yield f"**`{name}`: the reward ties on every comparison**: it prefers no candidate."


def _reward_row(name: str, one: "RewardSummary") -> dict[str, str]:
    return {
        "reward": f"`{name}`",
        "judge": UNDEFINED if one.judge is None else f"`{one.judge}`",
        "zeta": shown(one.zeta, "g"),
        "number": f"`{one.rating}`",
        "with reward / candidates": f"{one.with_reward:,} / {one.candidates:,}",
        "mean": shown(one.mean, ".2f"),
        "sd": shown(one.sd, ".2f"),
        "comparisons": f"{one.comparisons:,}",
        "ties": shown(one.ties.share, ".2%").replace("%", " %"),
        "mean |Δ|": shown(one.mean_delta, ".3f"),
        "ties of the number": share_with_interval(one.number_ties),
        "agreement, strict": share_with_interval(one.agreement),
        "agreement, ties counted": share_with_interval(one.agreement_ties_counted),
    }


def _published_rows() -> Iterator[dict[str, str]]:
    """The published figures in the columns of `_reward_row`, below a row that names them."""
    blank = dict.fromkeys(map(str, range(12)), "")
    yield {"title": f"**Published**: {PUBLISHED_SOURCE}", **blank}
    for name, one in PUBLISHED.items():
        agreement = one.get("agreement_ties_counted")
        yield {
            "reward": f"published {name}",
            "judge": "Llama-3-8B",
            "zeta": f"{one['zeta']:g}",
            "number": UNDEFINED,
            "with reward / candidates": UNDEFINED,
            "mean": f"{one['mean']:.2f}",
            "sd": f"{one['sd']:.2f}",
            "comparisons": f"{one['comparisons']:,}",
            "ties": f"{100 * one['ties']:.2f} %",
            "mean |Δ|": f"{one['mean_delta']:.3f}",
            "ties of the number": f"{100 * PUBLISHED['numeric']['ties']:.2f} %",
            "agreement, strict": UNDEFINED,
            "agreement, ties counted": UNDEFINED
            if agreement is None
            else f"{100 * agreement:.2f} %",
        }


def _length_row(name: str, one: "RewardSummary") -> dict[str, str]:
    return {
        "reward": f"`{name}`",
        "rank correlation": shown(one.length_spearman, "+.3f"),
        "n": f"{one.with_reward:,}",
    }


def _status_row(judge: str, counts: Mapping[str, int]) -> dict[str, str]:
    return {
        "judge": f"`{judge}`",
        **{f"`{status}`": f"{count:,}" for status, count in counts.items()},
        "all": f"{sum(counts.values()):,}",
    }


def _training_row(arm: str, one: "TrainingSummary") -> dict[str, str]:
    loss = f"{shown(one.loss_first, '.4f')} → {shown(one.loss_last, '.4f')}"
    margin = f"{shown(one.margin_first, '.4f')} → {shown(one.margin_last, '.4f')}"
    return {
        "arm": f"`{arm}`",
        "reward": f"`{one.reward}`",
        "loss function": one.loss_function,
        "pairs to train": f"{one.pairs['train']:,}",
        "steps": f"{one.steps:,}",
        "loss, first → last": loss,
        "margin, first → last": margin,
        "accuracy, last step": shown(one.accuracy_last, ".3f"),
        "held-out pairs": f"{one.pairs['eval']:,}",
        "held-out accuracy": shown(one.held_out_accuracy, ".3f"),
        "held-out margin": shown(one.held_out_margin, ".4f"),
    }


def _cut_row(arm: str, candidates: int, cut: Mapping[str, int]) -> dict[str, str]:
    return {
        "arm": f"`{arm}`",
        "candidates": f"{candidates:,}",
        "cut at max_new_tokens": f"{cut['candidates']:,}",
        "of these chosen in pairs": f"{cut['chosen']:,}",
        "rejected in pairs": f"{cut['rejected']:,}",
        "cut while thinking": f"{cut['never_answered']:,}",
    }
