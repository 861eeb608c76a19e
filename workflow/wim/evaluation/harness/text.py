"""The page of an evaluation by the harness: verdicts first, then the scores of each task."""

from collections.abc import Iterator, Mapping
from typing import Any

from wim.display.markdown import UNDEFINED, estimate_with_interval, markdown_table, shown
from wim.statistics import Estimate


def harness_text(figures: Mapping[str, Any]) -> str:
    """The page in Markdown."""
    tasks, settings = figures["tasks"], figures["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    parts = [
        f"# Evaluation: {figures['evaluation']}",
        f"By {versions}; scores with standard errors.",
    ]
    if settings["limit"] is not None:
        parts.append(
            f"> **The first {settings['limit']} questions of each task alone**: a trial, no result."
        )
    parts += _sentences(tasks)
    asked = {name: task for name, task in tasks.items() if task["asked"]}
    inner = {name: task for name, task in tasks.items() if not task["asked"]}
    parts += ["## Scores", markdown_table(list(_score_rows(asked)), left=2)]
    if rows := list(_difference_rows(asked)):
        parts += [
            f"## Against {figures['reference']}, over the same questions",
            markdown_table(rows),
        ]
    if unpaired := list(_unpaired(asked)):
        parts.append(
            f"Without a paired difference: {', '.join(unpaired)}; lm-eval scores these as a whole, or "
            "less is better."
        )
    if inner:
        parts += ["## Tasks within groups", markdown_table(list(_score_rows(inner)), left=2)]
    parts += ["## Other metrics", markdown_table(list(_other_rows(tasks)), left=3)]
    return "\n\n".join(parts) + "\n"


def _sentences(tasks: Mapping[str, Any]) -> Iterator[str]:
    said = [
        f"- **{one['verdict']['words']}**"
        for task in tasks.values()
        for one in task["speakers"].values()
        if "verdict" in one
    ]
    if said:
        yield "\n".join(said)


def _score_rows(tasks: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """A task's main score for each speaker."""
    for name, task in tasks.items():
        yield {
            "task": f"`{name}`",
            "metric": f"`{task['main']}`" if task["main"] else UNDEFINED,
            "version": task["version"] or UNDEFINED,
            "examples": UNDEFINED if task["examples"] is None else str(task["examples"]),
            "questions": _questions(task),
            **{
                f"`{speaker}`": _score(one["scores"].get(task["main"]))
                for speaker, one in task["speakers"].items()
            },
        }


def _questions(task: Mapping[str, Any]) -> str:
    asked, there = task["questions"], task["all_questions"]
    if asked is None:
        return UNDEFINED
    return str(asked) if asked == there else f"{asked} of {there}"


def _score(score: Mapping[str, Any] | None) -> str:
    if score is None:
        return UNDEFINED
    error = score["standard_error"]
    return f"{score['value']:.4g}" + ("" if error is None else f" ± {error:.2g}")


def _difference_rows(tasks: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, task in tasks.items():
        for speaker, one in task["speakers"].items():
            if "difference" not in one:
                continue
            found = one["difference"]
            yield {
                "task": f"`{name}`",
                "speaker": f"`{speaker}`",
                "difference": estimate_with_interval(Estimate(**found["difference"])),
                "questions": str(found["common"]),
                "higher / lower": f"{found['higher']} / {found['lower']}",
                "p, Holm": shown(one["verdict"]["p_holm"], ".2g"),
                "smallest": shown(one["verdict"]["smallest"], ".2g"),
                "verdict": one["verdict"]["verdict"],
            }


def _unpaired(tasks: Mapping[str, Any]) -> Iterator[str]:
    for name, task in tasks.items():
        speakers = list(task["speakers"].values())
        if len(speakers) > 1 and not any("difference" in one for one in speakers):
            yield f"`{name}`"


def _other_rows(tasks: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    for name, task in tasks.items():
        for speaker, one in task["speakers"].items():
            for metric, score in one["scores"].items():
                if metric != task["main"]:
                    yield {
                        "task": f"`{name}`",
                        "speaker": f"`{speaker}`",
                        "metric": f"`{metric}`",
                        "score": _score(score),
                    }
