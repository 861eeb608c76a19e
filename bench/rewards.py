"""Critiques of LLMBar's recorded judges, as `snakemake reward_study` reads them.

    python bench/rewards.py <recorded_judges> <folder>
    snakemake --configfile <folder>/study.yaml -- reward_study

LLMBar's authors recorded judges that explain before they choose (CoT), and of some also a number for
each response (Rating); people labelled the pairs. The critique of a response is made of the sentences,
from both orders, that name this response alone and no winner. The explanations compare two responses,
which the critiques of a judge that rates one by one do not. Another configuration, panels.yaml, has the
mean of the numbers of the two judges that gave some, on the pairs that both have.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from wim.display.json_files import write_json, write_json_lines
from wim.judging.sentences import sentence_ends

NAMED = re.compile(r"Output \(([ab])\)")
CONCLUDES = re.compile(r"\b(is|are) (the )?(better|superior|best|preferred|preferable)\b")
SUBSETS, JUDGES = ("Natural", "Neighbor"), ("GPT-4", "ChatGPT", "LLaMA2", "PaLM2", "Falcon")
# LLMBar asks for a number from 0 to 10.
SCALE = [0, 10]
PANEL = ("GPT-4", "ChatGPT")
# A labelled pair and the judgements of its two responses.
Judged = tuple[dict[str, Any], list[dict[str, Any]]]
# Beside those that the study always tries. The judge is the one of the default configuration, whose
# place the recorded ones take.
REWARDS: Mapping[str, dict[str, Any]] = {
    "wim_shuffled": {"judge": "smollm2", "kind": "shuffled_wim", "zeta": 1.0},
    "wim_negated": {"judge": "smollm2", "kind": "negated", "zeta": 1.0},
    "mixed": {"judge": "smollm2", "kind": "mixture", "zeta": 0.4},
    "shorter_lacks": {
        **{"judge": "smollm2", "kind": "mixture", "zeta": 0.0, "ties": "lack_share"},
        "length_penalty": 0.05,
    },
    "logistic": {"judge": "smollm2", "kind": "critique_head", "fit": "logistic"},
    "with_response": {
        **{"judge": "smollm2", "kind": "critique_head"},
        "vectors": "critique_and_response",
    },
    "brief": {"kind": "brevity"},
    "coin": {"kind": "random"},
}


def critiques_of(explanation: str) -> Mapping[str, str]:
    """The sentences of an explanation by the output, `a` or `b`, that they are about."""
    about: dict[str, list[str]] = {"a": [], "b": []}
    current = ""
    for start, end in pairwise([0, *sentence_ends(explanation)]):
        sentence = explanation[start:end].strip()
        named = set(NAMED.findall(sentence))
        if not sentence or len(named) > 1 or CONCLUDES.search(sentence):
            continue
        current = named.pop() if named else current
        if current:
            about[current].append(NAMED.sub("The response", sentence))
    return {name: " ".join(found) for name, found in about.items()}


def recorded(explained: Path, rated: Path) -> Iterator[Judged]:
    """Each labelled pair whose responses both have a critique, and its two judgements."""
    numbers = json.loads(rated.read_text(encoding="utf-8")) if rated.exists() else None
    for place, row in enumerate(json.loads(explained.read_text(encoding="utf-8"))):
        result = row["results"][-1]
        in_order, swapped = (
            critiques_of(result[f"swap = {swap}"]["completion"][0]) for swap in (False, True)
        )
        critiques = [
            f"{in_order[one]} {swapped[other]}".strip() for one, other in (("a", "b"), ("b", "a"))
        ]
        if not all(critiques):
            continue
        pair = {key: row[key] for key in ("input", "output_1", "output_2", "label")}
        judgements = []
        for side, critique in enumerate(critiques, start=1):
            response = row[f"output_{side}"]
            judgement = {"prompt": row["input"], "response": response, "critique": critique}
            if numbers is not None:
                text = numbers[place]["results"][-1][f"score_{side}"][0]
                judgement["number"] = int(text) if text.strip().isdecimal() else None
            judgements.append(judgement)
        yield pair, judgements


def panel_of(some: Sequence[Judged], others: Sequence[Judged]) -> Iterator[Judged]:
    """The pairs that two judges have, with the mean of their numbers and the critiques of both."""
    by_pair = {str(pair): judgements for pair, judgements in others}
    for pair, judgements in some:
        together = [
            {
                **one,
                "critique": f"{one['critique']} {other['critique']}",
                "number": (one["number"] + other["number"]) / 2,
            }
            for one, other in zip(judgements, by_pair.get(str(pair), []), strict=False)
            if one["number"] is not None and other["number"] is not None
        ]
        if len(together) == len(judgements):
            yield pair, together


def written(folder: Path, name: str, found: Sequence[Judged]) -> dict[str, Any]:
    """Write the files of a set, and return its settings in the study."""
    ratings, labels = (folder / f"{name}{end}" for end in (".jsonl", ".labels.json"))
    write_json_lines(ratings, [row for _, rows in found for row in rows])
    write_json(labels, [pair for pair, _ in found])
    print(f"{name}: {len(found)} pairs")
    settings = {"ratings": [str(ratings.absolute())], "labels": str(labels.absolute())}
    has_numbers = any("number" in row for _, rows in found for row in rows)
    return settings | ({"scale": SCALE} if has_numbers else {})


def main(arguments: Sequence[str]) -> None:
    """Write the files of every recorded judge, and the configurations of the study."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recorded_judges", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    sets, panels = {}, {}
    for subset in SUBSETS:
        of_judges = {}
        for judge in JUDGES:
            explained, rated = (
                options.recorded_judges / f"{subset}__{judge}__{kind}.json"
                for kind in ("CoT", "Rating")
            )
            of_judges[judge] = list(recorded(explained, rated))
            name = f"{judge}-{subset}"
            sets[name] = written(options.folder, name, of_judges[judge])
        name = f"panel-{subset}"
        both = list(panel_of(*(of_judges[judge] for judge in PANEL)))
        panels[name] = written(options.folder, name, both)
    rewards = {
        name: settings
        | ({"learns_from": list(sets)} if settings["kind"] == "critique_head" else {})
        for name, settings in REWARDS.items()
    }
    # JSON is YAML. No arm is trained on any of these rewards.
    study = {"study": {"recorded": sets}, "rewards": rewards, "arms": {}}
    write_json(options.folder / "study.yaml", study)
    write_json(options.folder / "panels.yaml", {"study": {"recorded": panels}})


if __name__ == "__main__":
    main(sys.argv[1:])
