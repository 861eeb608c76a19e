"""Responses and critiques as vectors: those of sentence_transformers, each text once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.builders import candidate, rating
from wim.embedding.embed import embed_critiques
from wim.embedding.encoder import Encoder
from wim.models.manifest import read_manifest
from wim.tables.files import as_arrow, read_embeddings, write_table
from wim.tables.schemas import DIALOGUES, RATINGS

TEXTS = [
    "The response does not say when the printing press was invented.",
    "Paris.",
    "",
    "Starch in bread crystallises faster near freezing point, so it goes stale. " * 4,
    "Das Brot wird im Kühlschrank schneller alt. 🍞",
    "[[10]] [[[nothing]]]",
]
LONG = "bread " * 600


@pytest.fixture(scope="module")
def encoder(minilm: Path) -> Encoder:
    return Encoder(minilm)


@pytest.fixture(scope="module")
def alone(minilm: Path) -> dict[str, Any]:
    """Each text by sentence_transformers itself, one at a time, on one thread."""
    import torch
    from sentence_transformers import SentenceTransformer

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    model = SentenceTransformer(str(minilm))
    found = {text: model.encode([text], normalize_embeddings=True)[0] for text in [*TEXTS, LONG]}
    torch.set_num_threads(before)
    return found


def test_vectors_are_those_of_sentence_transformers_one_at_a_time(encoder, alone) -> None:
    texts = [*TEXTS, LONG]
    vectors = encoder.encode(texts).vectors
    assert vectors.shape == (len(texts), encoder.dimension)
    assert vectors.dtype == np.float32
    for text, vector in zip(texts, vectors, strict=True):
        np.testing.assert_allclose(vector, alone[text], atol=1e-5)


def test_vectors_have_unit_length(encoder) -> None:
    norms = np.linalg.norm(encoder.encode(TEXTS).vectors, axis=1)
    np.testing.assert_allclose(norms, 1, atol=1e-5)


def test_a_text_that_occurs_twice_is_embedded_once(encoder, monkeypatch) -> None:
    seen: list[str] = []
    encode = encoder.model.encode

    def counted(texts: list[str], **options: Any) -> Any:
        seen.extend(texts)
        return encode(texts, **options)

    monkeypatch.setattr(encoder.model, "encode", counted)
    vectors = encoder.encode([*TEXTS, *reversed(TEXTS)]).vectors
    assert sorted(seen) == sorted(TEXTS)
    np.testing.assert_array_equal(vectors, vectors[::-1])


def test_a_vector_does_not_depend_on_the_other_texts(encoder, alone) -> None:
    texts = [*TEXTS, LONG]
    for some in (texts, texts[::-1], texts[1::2], texts[:1], texts[3:4]):
        vectors = encoder.encode(some).vectors
        np.testing.assert_array_equal(vectors, [alone[text] for text in some])


def test_a_vector_does_not_depend_on_the_number_of_threads(encoder) -> None:
    import torch

    # Of texts of up to ten tokens, kernels divide the work differently.
    texts = [" ".join(["bread"] * count) for count in range(1, 10)]
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(encoder.encode(texts).vectors)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)


def test_a_text_longer_than_the_encoder_reads_is_flagged(encoder) -> None:
    assert encoder.encode([LONG, "bread", LONG]).truncated == [True, False, True]


def test_exactly_the_texts_whose_end_does_not_matter_are_flagged(encoder) -> None:
    # Two of the tokens that the encoder reads mark beginning and end.
    room = encoder.model.max_seq_length - 2
    full, over = " ".join(["bread"] * room), " ".join(["bread"] * (room + 1))
    assert encoder.encode([full, over]).truncated == [False, True]
    vectors = encoder.encode(
        [over, f"{over} cheese", full, full.removesuffix("bread") + "cheese"]
    ).vectors
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    assert np.abs(vectors[2] - vectors[3]).max() > 1e-3


def test_no_texts_have_no_vectors(encoder) -> None:
    found = encoder.encode([])
    assert found.vectors.shape == (0, encoder.dimension)
    assert found.truncated == []


@pytest.mark.parametrize("long", ["cut", "windows"])
def test_shards_have_the_same_table_whichever_is_embedded_first(minilm, tmp_path, long) -> None:
    # Both have the first critique, and find it in the store if the other was first.
    said = [
        [("Paris.", "The year is missing."), ("Bread " * 40, "It gives no source.")],
        [("No.", "The year is missing.")],
    ]
    tables = []
    for order in ([0, 1], [1, 0]):
        store = tmp_path / f"store-{order[0]}"
        for number in order:
            dialogues, ratings = rated(tmp_path, said[number])
            embed_critiques(
                dialogues,
                ratings,
                minilm / "manifest.json",
                "tiny",
                store,
                tmp_path / f"{number}-{order[0]}.parquet",
                long=long,
            )
        tables.append([(tmp_path / f"{n}-{order[0]}.parquet").read_bytes() for n in range(2)])
    assert tables[0] == tables[1]


def rated(folder: Path, said: list[tuple[str, str]]) -> tuple[Path, Path]:
    """Dialogues and ratings of one candidate for each response and critique."""
    names = [f"{number:032x}" for number in range(len(said))]
    candidates = [
        candidate(name, sample=number, completion=said[number][0])
        for number, name in enumerate(names)
    ]
    ratings = [
        rating(name, judge="tiny", wim=wim) for name, (_, wim) in zip(names, said, strict=True)
    ]
    write_table(folder / "dialogues.parquet", DIALOGUES, as_arrow(DIALOGUES, candidates))
    write_table(folder / "ratings.parquet", RATINGS, as_arrow(RATINGS, ratings))
    return folder / "dialogues.parquet", folder / "ratings.parquet"


STATUSES = ["ok", "nothing_missing", "echo", "truncated", "unparsable", "refused", "error", "ok"]


def shard(folder: Path) -> tuple[Path, Path]:
    """Dialogues and ratings of one candidate of each status, the last one with a long critique."""
    candidates, ratings = [], []
    for number, status in enumerate(STATUSES):
        key = f"{9 - number:032x}"
        completion = f"answer {number}" if status != "echo" else LONG
        candidates.append(candidate(key, sample=number, completion=completion))
        wim = (LONG if number else "The year is missing.") if status == "ok" else None
        wim = "None." if status == "nothing_missing" else wim
        ratings.append(
            rating(key, judge="tiny", status=status, rating=None, rating_expected=None, wim=wim)
        )
    write_table(folder / "dialogues.parquet", DIALOGUES, as_arrow(DIALOGUES, candidates))
    write_table(folder / "ratings.parquet", RATINGS, as_arrow(RATINGS, ratings))
    return folder / "dialogues.parquet", folder / "ratings.parquet"


def test_every_response_and_only_critiques_of_status_ok_are_embedded(
    minilm, encoder, tmp_path
) -> None:
    output = tmp_path / "embeddings.parquet"
    dialogues, ratings = shard(tmp_path)
    embed_critiques(
        dialogues, ratings, minilm / "manifest.json", "tiny", tmp_path / "store", output
    )
    rows = {row["candidate_id"]: row for row in read_embeddings(output).to_pylist()}
    found = [rows[f"{9 - number:032x}"] for number in range(len(STATUSES))]
    assert [row["wim_embedding"] is not None for row in found] == [s == "ok" for s in STATUSES]
    assert [row["wim_truncated"] for row in found] == [False] * 7 + [True]
    assert [row["response_truncated"] for row in found] == [s == "echo" for s in STATUSES]
    expected = encoder.encode(["answer 0", "The year is missing.", "answer 1"]).vectors
    np.testing.assert_allclose(found[0]["response_embedding"], expected[0], atol=1e-5)
    np.testing.assert_allclose(found[0]["wim_embedding"], expected[1], atol=1e-5)
    np.testing.assert_allclose(found[1]["response_embedding"], expected[2], atol=1e-5)
    assert {row["encoder_digest"] for row in found} == {
        read_manifest(minilm / "manifest.json").digest
    }
    assert {row["judge"] for row in found} == {"tiny"}


def test_a_shard_without_candidates_has_an_empty_table(minilm, tmp_path) -> None:
    for name, table in {"d": DIALOGUES, "r": RATINGS}.items():
        write_table(tmp_path / name, table, table.schema.empty_table())
    output = tmp_path / "embeddings.parquet"
    embed_critiques(
        tmp_path / "d",
        tmp_path / "r",
        minilm / "manifest.json",
        "tiny",
        tmp_path / "store",
        output,
    )
    found = read_embeddings(output)
    assert found.num_rows == 0
    assert found.schema.field("response_embedding").type.list_size == 384
