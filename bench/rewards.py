"""Rewards computed from the same critiques, on pairs that people have labelled.

    python bench/rewards.py recorded Natural__GPT-4__CoT.json [...]  # LLMBar's recorded judges
    python bench/rewards.py gate Natural.json runs/gate smollm2      # after `snakemake reward_gate`

A recorded judge explains before it chooses: the critique of a response is then the sentences, from
both orders, that name only this response and no winner. Of a gate, it is the judge's critique in
its ratings tables. Each row is a reward: the share of pairs that it orders as people did (a tie counts
half), with its 95 % interval. Only the encoder is loaded.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from wim.display.markdown import estimate_with_interval, markdown_table
from wim.embedding.encoder import Encoder
from wim.evaluation.judged_pairs import LabelledPair
from wim.evaluation.llmbar import read_labelled_pairs, read_recorded
from wim.evaluation.pair_statistics import credit
from wim.judging.parse import SENTENCE_END
from wim.statistics import mean_of
from wim.tables.files import read_tables
from wim.tables.schemas import RATINGS

ENCODER = Path(".cache/models/43901a645f4d8500a762f1ef9674608b19d3c56538ec475ff04598ba4956d231")
NAMED = re.compile(r"Output \(([ab])\)")
CONCLUDES = re.compile(r"\b(is|are) (the )?(better|superior|best|preferred|preferable)\b")
LACKS = re.compile(
    r"\b(not|no|n't|never|without|lacks?|lacking|missing|misses|omits?|omitting|fails?|failed|"
    r"incorrect(ly)?|wrong(ly)?|only|leaves? out|incomplete|irrelevant|unrelated|instead)\b|n't\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Criticised:
    """A response, what it answers, and the critique of it."""

    prompt: str
    response: str
    critique: str


Score = Callable[[Criticised], float]
Side = tuple[Criticised, Criticised]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without white space around them."""
    ends = [0, *(match.end() for match in SENTENCE_END.finditer(text)), len(text)]
    found = [text[start:end].strip() for start, end in pairwise(ends)]
    return [one for one in found if one]


def critiques_of(explanation: str) -> Mapping[str, str]:
    """The sentences of an explanation by the output, `a` or `b`, that they are about."""
    about: dict[str, list[str]] = {"a": [], "b": []}
    current = ""
    for sentence in sentences(explanation):
        named = set(NAMED.findall(sentence))
        if len(named) > 1 or CONCLUDES.search(sentence):
            continue
        current = named.pop() if named else current
        if current:
            about[current].append(NAMED.sub("The response", sentence))
    return {name: " ".join(found) for name, found in about.items()}


def recorded(path: Path) -> list[tuple[LabelledPair, Side]]:
    """The pairs of a recorded judge's file whose responses both have a critique in both orders."""
    found = []
    rows = json.loads(path.read_text(encoding="utf-8"))
    for pair, row in zip(read_labelled_pairs(path), rows, strict=True):
        result = row["results"][-1]
        in_order, swapped = (
            critiques_of(result[f"swap = {swap}"]["completion"][0]) for swap in (False, True)
        )
        texts = [(in_order["a"], swapped["b"]), (in_order["b"], swapped["a"])]
        if all(map(all, texts)):
            responses = (pair.response_a, pair.response_b)
            a, b = (
                Criticised(pair.context[-1]["content"], response, " ".join(both))
                for response, both in zip(responses, texts, strict=True)
            )
            found.append((pair, (a, b)))
    return found


def of_gate(pairs: Path, run: Path, judge: str) -> list[tuple[LabelledPair, Side]]:
    """The labelled pairs whose critiques by a judge are both usable, of a gate that has run."""
    tables = sorted((run / "results/ratings/labelled" / judge).glob("*.parquet"))
    rows = read_tables(tables, RATINGS, ["candidate_id", "status", "wim"]).to_pylist()
    critiques = {row["candidate_id"]: row["wim"] for row in rows if row["status"] == "ok"}
    found = []
    for pair in read_labelled_pairs(pairs):
        texts = [critiques.get(each.candidate_id) for each in pair.candidates]
        if None not in texts:
            a, b = (
                Criticised(pair.context[-1]["content"], each.completion, str(text))
                for each, text in zip(pair.candidates, texts, strict=True)
            )
            found.append((pair, (a, b)))
    return found


def words(text: str) -> list[str]:
    """The words of a text."""
    return re.findall(r"\w+", text.casefold())


def texts_of(row: Criticised) -> list[str]:
    """The texts of a response that are encoded."""
    together = f"{row.prompt}\n{row.critique}"
    return [row.prompt, row.response, row.critique, together, *sentences(row.critique)]


def rewards(encoder: Encoder, rows: Sequence[Criticised]) -> Mapping[str, Score]:
    """The rewards to try, by name; higher is better. rows: all that will be scored."""
    texts = sorted({text for row in rows for text in texts_of(row)})
    vectors = dict(zip(texts, encoder.encode(texts).vectors.astype(np.float64), strict=True))

    def cosine(one: str, other: str) -> float:
        return float(vectors[one] @ vectors[other])

    def covered(row: Criticised) -> float:
        response = set(words(row.response))
        return float(np.mean([word in response for word in words(row.critique)]))

    return {
        "longer response (no judge)": lambda row: len(row.response),
        "cosine of prompt and response (no judge)": lambda row: cosine(row.prompt, row.response),
        "cosine of response and critique (WIM)": lambda row: cosine(row.response, row.critique),
        "cosine of response and prompt with critique": lambda row: cosine(
            row.response, f"{row.prompt}\n{row.critique}"
        ),
        "cosine of response and critique, less that of prompt and critique": lambda row: (
            cosine(row.response, row.critique) - cosine(row.prompt, row.critique)
        ),
        "highest cosine of response and a sentence of the critique": lambda row: max(
            cosine(row.response, one) for one in sentences(row.critique)
        ),
        "share of the critique's words in the response": covered,
        "shorter critique": lambda row: -len(words(row.critique)),
        "fewer words of lack in the critique": lambda row: -len(LACKS.findall(row.critique)),
        "smaller share of words of lack": lambda row: (
            -len(LACKS.findall(row.critique)) / max(1, len(words(row.critique)))
        ),
    }


def own_choice(path: Path) -> Mapping[str, float]:
    """How right a recorded judge is on each pair, 0..1."""
    judged = {one.pair_id: one for one in read_recorded(path, "conclusion")}
    return {pair.pair_id: credit(pair, judged[pair.pair_id]) for pair in read_labelled_pairs(path)}


def row_of(reward: str, credits: Sequence[float]) -> dict[str, str]:
    """A row of the table."""
    return {"reward": reward, "accuracy": estimate_with_interval(mean_of(credits, seed=0))}


def main(arguments: Sequence[str]) -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", choices=["recorded", "gate"])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--encoder", type=Path, default=ENCODER)
    options = parser.parse_args(arguments)
    if options.source == "recorded":
        sets = {path.stem: recorded(path) for path in options.files}
    else:
        pairs, run, judge = options.files
        sets = {f"{pairs.stem}, {judge}": of_gate(pairs, run, str(judge))}
    choices = {
        path.stem: own_choice(path) for path in options.files if options.source == "recorded"
    }
    rows = [row for found in sets.values() for _, sides in found for row in sides]
    tried = rewards(Encoder(options.encoder), rows)
    for name, found in sets.items():
        print(f"\n{name}: {len(found)} pairs with a critique of both responses\n")
        table = []
        for reward, score in tried.items():
            credits = []
            for pair, (a, b) in found:
                lead = (score(a) - score(b)) * (1 if pair.better == "a" else -1)
                credits.append(0.5 if lead == 0 else float(lead > 0))
            table.append(row_of(reward, credits))
        if name in choices:
            own = [choices[name][pair.pair_id] for pair, _ in found]
            table.append(row_of("the judge's own choice, mean of both orders", own))
        print(markdown_table(table))


if __name__ == "__main__":
    main(sys.argv[1:])
