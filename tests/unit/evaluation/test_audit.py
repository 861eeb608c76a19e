"""The critique audit: do a judge's critiques speak of the response, and of what else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support.builders import candidate, rating
from wim.errors import UserError
from wim.evaluation.audit import BINS, Audit, audit_critiques, read_audit
from wim.evaluation.audit_figure import draw_critiques
from wim.evaluation.audit_text import audit_row
from wim.statistics import mean_over_groups, rank_correlation
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import DIALOGUES, RATINGS, embeddings_table

DIMENSION = 4
TABLE = embeddings_table(DIMENSION)
TEMPLATE = """Say in one or two sentences which facts are missing. {{ nothing_missing }}
{% for message in conversation %}{{ message.content }}{% endfor %}
Write it as in [[[The response does not say who built the old bridge.]]]"""


@dataclass(frozen=True)
class Judged:
    """A judged response. Vectors are axes: a response and a critique on one axis have cosine 1."""

    critique: str = "It gives no date."
    response: str = "A river runs through the town and into the sea."
    status: str = "ok"
    prompt: str = ""
    axis: int = 0
    critique_axis: int = 0
    tokens: int = 9
    cut: bool = False
    response_unknown: float = 0.0
    unknown: float = 0.0


def audit_of(
    folder: Path, rows: Sequence[Judged], shards: int = 1, vectors: bool = True, seed: int = 0
) -> Audit:
    paths: dict[str, list[Path]] = {"dialogues": [], "ratings": [], "embeddings": []}
    for shard in range(shards):
        own = [(n, row) for n, row in enumerate(rows) if n % shards == shard]
        candidates = [
            candidate(
                f"{n:04d}",
                prompt_id=row.prompt or f"p{n}",
                context=[],
                completion=row.response,
                completion_tokens=row.tokens,
            )
            for n, row in own
        ]
        ratings = [rating(f"{n:04d}", status=row.status, wim=row.critique) for n, row in own]
        content = [
            {
                "candidate_id": f"{n:04d}", "judge": "j", "encoder_digest": "e",
                "response_embedding": np.eye(DIMENSION)[row.axis].tolist(),
                "wim_embedding": np.eye(DIMENSION)[row.critique_axis].tolist()
                if row.status == "ok" else None,
                "response_truncated": row.cut, "wim_truncated": False,
                "response_unknown": row.response_unknown,
                "wim_unknown": row.unknown if row.status == "ok" else None,
            }
            for n, row in own
        ]  # fmt: skip
        tables = (
            ("dialogues", DIALOGUES, as_arrow(DIALOGUES, candidates)),
            ("ratings", RATINGS, as_arrow(RATINGS, ratings)),
            ("embeddings", TABLE, pa.Table.from_pylist(content, schema=TABLE.schema)),
        )
        for name, table, rows_of in tables:
            paths[name].append(folder / f"{name}{shard}")
            write_table(paths[name][-1], table, rows_of)
    template = folder / "critique.jinja"
    template.write_text(TEMPLATE)
    if not vectors:
        paths["embeddings"] = []
    audit_critiques(**paths, template=template, seed=seed, output=folder / "audit.json")
    return read_audit(folder / "audit.json")


def test_critiques_of_the_own_response_are_distinguished_from_those_that_fit_any(
    tmp_path: Path,
) -> None:
    specific = [Judged(axis=n % 4, critique_axis=n % 4, prompt=f"p{n % 4}") for n in range(40)]
    audit = audit_of(tmp_path, specific, shards=2)
    assert (audit.own.value, audit.shuffled.value) == (1.0, 0.0)
    assert (audit.specificity.value, audit.specificity.n) == (1.0, 4)
    assert audit.own_is_closer.share == 1.0
    assert sum(audit.own_counts) == audit.own_counts[BINS - 1] == 40
    vague = audit_of(tmp_path, [Judged(axis=0, critique_axis=0) for _ in range(40)])
    assert (vague.own.value, vague.specificity.value) == (1.0, 0.0)
    assert vague.own_is_closer.share == 0.0


def test_words_copied_from_the_response_the_template_and_its_example_are_distinguished(
    tmp_path: Path,
) -> None:
    rows = [
        Judged(critique="A river runs through the town and into the sea."),
        Judged(critique="Say in one or two sentences which facts are missing."),
        Judged(critique="The response does not say who built the old bridge."),
        Judged(critique="Neither the length nor the source of it is given anywhere."),
    ]
    audit = audit_of(tmp_path, rows)
    assert audit.from_response.value == 0.25
    assert audit.from_examples.value == 0.25
    assert audit.from_template.value == 0.5  # the example is a part of it
    assert audit.from_response.n == 4


def test_failed_judgements_count_as_judgements_alone(tmp_path: Path) -> None:
    rows = [Judged(), Judged(), Judged(), Judged(status="nothing_missing"), Judged(status="echo")]
    audit = audit_of(tmp_path, rows)
    assert (audit.judgements, audit.critiques) == (5, 3)
    assert (audit.nothing_missing.count, audit.nothing_missing.n) == (1, 4)
    assert audit.own.n == 3


def test_a_cosine_that_follows_length_shows_and_cut_texts_are_counted(tmp_path: Path) -> None:
    rows = [Judged(critique_axis=int(n < 10), tokens=n, cut=n < 5) for n in range(20)]
    audit = audit_of(tmp_path, rows)
    assert audit.by_response_length.value == pytest.approx(0.8671, abs=1e-3)
    assert audit.by_response_length.low is not None
    assert 0.6 < audit.by_response_length.low < 0.8671
    assert audit.by_critique_length.value is None  # all are equally long
    assert (audit.read_responses.cut.share, audit.read_critiques.cut.share) == (0.25, 0.0)


def test_texts_that_the_encoder_hardly_knows_are_counted_and_have_no_cosine_if_it_knows_none(
    tmp_path: Path,
) -> None:
    rows = [Judged(unknown=share) for share in (0.0, 0.1, 0.5, 1.0)]
    audit = audit_of(tmp_path, [*rows, Judged(response_unknown=1.0)])
    assert (audit.read_critiques.hard.count, audit.read_critiques.unreadable.count) == (2, 1)
    assert (audit.read_responses.hard.count, audit.read_responses.unreadable.count) == (1, 1)
    assert audit.read_critiques.hard.n == 5
    assert audit.own.n == 3


def test_without_embeddings_nothing_is_said_of_cosines(tmp_path: Path) -> None:
    audit = audit_of(tmp_path, [Judged(), Judged()], vectors=False)
    assert audit.own.value is audit.specificity.value is audit.by_response_length.value is None
    assert (audit.own.n, audit.read_responses.cut.n, sum(audit.own_counts)) == (0, 0, 0)
    assert audit.critiques == 2
    draw_critiques({"j": audit}, tmp_path / "critiques.svg")
    assert (tmp_path / "critiques.svg").stat().st_size > 1000
    row = audit_row("j", audit)
    assert row["specificity"] == "\N{EN DASH}"
    assert row["nothing missing"] == "0.0 %"


def test_what_is_sampled_is_sampled_by_seed(tmp_path: Path) -> None:
    rows = [Judged(axis=n % 3, critique_axis=n % 4) for n in range(30)]
    first, again = audit_of(tmp_path, rows), audit_of(tmp_path, rows)
    assert first == again
    assert {audit_of(tmp_path, rows, seed=n).shuffled.value for n in range(4)} != {
        first.shuffled.value
    }


def test_a_file_that_is_no_audit_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text("{}")
    with pytest.raises(UserError, match=r"j.json: no audit"):
        read_audit(tmp_path / "j.json")


def test_a_mean_over_groups_counts_each_group_once() -> None:
    values, groups = np.array([1.0, 1.0, 1.0, 0.0, np.nan]), np.array(list("aaabc"))
    found = mean_over_groups(values, groups)
    assert (found.value, found.n) == (0.5, 2)


def test_a_rank_correlation_has_an_interval_that_narrows_with_n() -> None:
    values = np.random.default_rng(0).normal(size=(2, 4000))
    other = values[0] + values[1]
    few, many = (rank_correlation(values[0][:n].tolist(), other[:n].tolist()) for n in (40, 4000))
    for found in (few, many):
        assert found.low is not None and found.high is not None and found.value is not None
        assert found.low < found.value < found.high
    assert many.low < 0.69 < many.high  # 6 / pi * asin(1 / sqrt(2) / 2)
    assert few.high - few.low > 5 * (many.high - many.low)
