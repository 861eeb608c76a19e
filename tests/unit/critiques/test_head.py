"""Heads: what they are fitted to, what they have not seen, and critiques without a vector."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from wim.critiques.head import FOLDS, HEADS, _pairs, can_be_fitted, fitted, fitted_heads, fold_of
from wim.errors import UserError
from wim.provenance.digest import row_id
from wim.tables.files import read_table, write_table
from wim.tables.ratings import Status

DIMENSION = 8
DIRECTION = np.linspace(-1.0, 1.0, DIMENSION)


def examples(prompts: int, noise: float = 0.1, source: str = "s", seed: int = 0) -> pd.DataFrame:
    """Critiques whose numbers are a direction of their vectors, and something of their prompt."""
    draws = np.random.default_rng(seed)
    rows = []
    for number in range(prompts):
        ease = draws.normal()
        for _ in range(3):
            vector = draws.normal(size=DIMENSION)
            rows.append(
                {
                    "vector": vector,
                    "number": vector @ DIRECTION + ease + noise * draws.normal(),
                    "prompt": row_id([source, number]),
                    "group": "0",
                    "source": source,
                }
            )
    return pd.DataFrame(rows)


@pytest.mark.parametrize("fit", ["ridge", "logistic"])
def test_a_head_orders_critiques_that_it_has_not_seen(fit: str) -> None:
    head = fitted(examples(60), fit, "place")  # type: ignore[arg-type]
    others = np.random.default_rng(9).normal(size=(200, DIMENSION))
    values = head.values(others, ["ok"] * 200)
    assert np.corrcoef(values, others @ DIRECTION)[0, 1] > 0.9


def test_each_head_has_seen_no_prompt_of_its_fold() -> None:
    known = examples(40)
    in_fold = known["prompt"].map(fold_of) == 0
    turned = known.copy()
    turned.loc[in_fold, "number"] *= -100
    heads, others = (fitted_heads(each, "ridge", "place") for each in (known, turned))
    assert len(heads) == FOLDS
    assert heads[0] == others[0]
    assert all(heads[fold] != others[fold] for fold in range(1, FOLDS))
    assert sum(known["prompt"].nunique() - head.prompts for head in heads) == 40


def test_numbers_of_sources_with_other_scales_count_alike() -> None:
    one, other = examples(30), examples(30, source="t", seed=1)
    scaled = other.assign(number=other["number"] * 1000 + 5)
    a, b = (fitted(pd.concat([one, each]), "ridge", "place") for each in (other, scaled))
    assert a.weights == pytest.approx(b.weights)


def test_the_order_of_examples_changes_nothing() -> None:
    known = examples(20)
    shuffled = known.sample(frac=1.0, random_state=1)
    assert fitted(known, "ridge", "p") == fitted(shuffled, "ridge", "p")


def test_nothing_missing_is_as_good_as_the_best_critique_and_no_vector_gives_no_value() -> None:
    known = examples(30)
    head = fitted(known, "ridge", "place")
    best = max(np.stack(known["vector"].to_list()) @ head.weights + head.intercept)
    empty = np.full((2, DIMENSION), np.nan)
    values = head.values(empty, [Status.NOTHING_MISSING, Status.ECHO])
    assert values[0] == pytest.approx(best)
    assert np.isnan(values[1])


def test_a_head_of_too_little_is_refused_with_what_was_found() -> None:
    known = examples(1)
    with pytest.raises(UserError, match=r"rewards\.x\.learns_from: found 3 usable critiques of 1"):
        fitted(known, "ridge", "rewards.x.learns_from")
    with pytest.raises(UserError, match="1 different numbers"):
        fitted(examples(5).assign(number=3.0), "ridge", "place")


def test_heads_are_a_table(tmp_path: Path) -> None:
    path = tmp_path / "heads.parquet"
    heads = fitted_heads(examples(20), "ridge", "place")
    rows = pa.Table.from_pylist([vars(head) for head in heads], schema=HEADS.schema)
    write_table(path, HEADS, rows)
    assert read_table(path, HEADS).to_pylist() == [vars(head) for head in heads]


def test_a_logistic_head_needs_two_numbers_of_a_prompt() -> None:
    known = examples(20).groupby("prompt").head(1)
    assert can_be_fitted(known, "ridge")
    assert not can_be_fitted(known, "logistic")
    fitted(known, "ridge", "place")
    with pytest.raises(UserError, match=r"rewards\.x: found 20 .* no two of one prompt .*ridge"):
        fitted(known, "logistic", "rewards.x")
    assert can_be_fitted(examples(20), "logistic")


def test_a_prompt_with_thousands_of_responses_is_fitted_to_some_of_its_pairs() -> None:
    many = pd.concat([examples(1000).assign(prompt=row_id("one")), examples(20, source="t")])
    head = fitted(many, "logistic", "place")
    assert (head.examples, head.prompts) == (len(many), 21)
    others = np.random.default_rng(9).normal(size=(200, DIMENSION))
    assert np.corrcoef(head.values(others, ["ok"] * 200), others @ DIRECTION)[0, 1] > 0.9


def test_the_pairs_of_a_group_are_all_of_those_whose_numbers_differ() -> None:
    numbers = [1.0, 1.0, 2.0, 3.0, 3.0, 5.0]
    rows = pd.DataFrame({"source": "s", "prompt": "p", "group": "0", "number": numbers})
    again = pd.concat([rows, rows.head(1).assign(group="1")], ignore_index=True)
    found = [tuple(pair) for pair in _pairs(again)]
    assert found == [(b, a) for a in range(6) for b in range(6) if numbers[b] > numbers[a]]
    equal = rows.assign(number=1.0)
    assert _pairs(equal).shape == (0, 2)
