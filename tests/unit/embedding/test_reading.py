"""What the encoder reads of texts: what is unknown to it, what is too long, and what is said of it."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.builders import candidate, rating
from wim.embedding.embed import embed_critiques, rows_wanted
from wim.embedding.encoder import Encoder, StoredEncoder, vector_schema
from wim.embedding.reading import embeddings_read, reading_warnings, texts_read
from wim.embedding.tokens import tokens_of
from wim.errors import UserError
from wim.settings.embeddings import EmbeddingSettings
from wim.store.rows import RowStore
from wim.tables.files import as_arrow, read_embeddings, write_table
from wim.tables.schemas import DIALOGUES, RATINGS

THAI = "คำตอบไม่ได้ระบุปีที่ประดิษฐ์แท่นพิมพ์."
CHINESE = "缺少印刷机发明的年份。它也没有说明发明者是谁。"


@pytest.fixture(scope="module")
def encoder(minilm: Path) -> Encoder:
    return Encoder(minilm)


@pytest.fixture(scope="module")
def by_windows(minilm: Path) -> Encoder:
    return Encoder(minilm, long="windows")


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("The year is missing.", 0.0),
        ("Année 1450, größer, ¿qué?", 0.0),
        ("🙂", 1.0),
        ("🙂🙂 👍!", 1.0),
        (THAI, 1.0),
        ("The year is missing 🙂.", 0.2),
        ("...", 0.0),
        ("…", 0.0),
        ("\u200b\u200d", 1.0),
        ("", 0.0),
        (" \n", 0.0),
    ],
)
def test_the_share_of_tokens_that_the_encoder_does_not_know_is_told(encoder, text, share) -> None:
    assert encoder.encode([text]).unknown == [share]


def test_most_of_a_chinese_text_is_unknown_to_an_english_encoder(encoder) -> None:
    (share,) = encoder.encode([CHINESE]).unknown
    assert 0.5 < share < 0.8


def test_only_what_is_read_of_a_long_text_counts(encoder, by_windows) -> None:
    text = "bread " * 254 + "🙂 " * 254
    assert encoder.encode([text]).unknown == [0.0]
    assert by_windows.encode([text]).unknown == [0.5]


def test_two_texts_that_are_wholly_unknown_have_one_vector(encoder) -> None:
    one, other = encoder.encode(["🙂", "👍"]).vectors
    assert float(one @ other) == pytest.approx(1.0, abs=1e-6)


# Windows.


@pytest.mark.parametrize(
    "text",
    ["bread " * 600, "Das Brot wird unvergleichlich altbacken. " * 60, CHINESE * 30, "x" * 3000],
)
def test_windows_hold_all_of_a_text_and_are_as_few_as_the_encoder_needs(encoder, text) -> None:
    (tokens,) = tokens_of(encoder.model.tokenizer, [text])
    for limit in (5, 100, encoder.room):
        windows = tokens.windows(limit)
        parts = tokens_of(encoder.model.tokenizer, windows)
        sizes = [len(part) for part in parts]
        assert max(sizes) <= limit
        assert "".join("".join(windows).split()) == "".join(text.split())
        if limit > 5:
            assert len(windows) == -(-len(tokens) // limit)
            assert max(sizes) - min(sizes) < limit / 5
            assert sum(sizes) == len(tokens)


def test_a_window_ends_where_a_word_does(encoder) -> None:
    text = "unvergleichlich altbackenes Brot " * 90
    (tokens,) = tokens_of(encoder.model.tokenizer, [text])
    words = set(text.split())
    for window in tokens.windows(100):
        assert set(window.split()) <= words


def test_a_long_text_has_the_normalised_mean_of_its_windows(by_windows, minilm) -> None:
    from sentence_transformers import SentenceTransformer

    text = "bread " * 254 + "music " * 254
    model = SentenceTransformer(str(minilm))
    halves: Any = model.encode(
        [("bread " * 254).strip(), ("music " * 254).strip()], normalize_embeddings=True
    )
    mean = halves.mean(axis=0)
    found = by_windows.encode([text, "bread"])
    np.testing.assert_allclose(found.vectors[0], mean / np.linalg.norm(mean), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found.vectors, axis=1), 1, atol=1e-5)
    assert found.truncated == [False, False]


def test_texts_that_fit_have_the_same_vector_either_way(encoder, by_windows) -> None:
    texts = ["bread", "The year is missing.", "bread " * 254, ""]
    cut, windows = (one.encode(texts).vectors for one in (encoder, by_windows))
    np.testing.assert_array_equal(cut, windows)
    assert by_windows.encode([]).vectors.shape == (0, encoder.dimension)


def test_vectors_by_windows_are_stored_beside_those_of_cut_texts(
    encoder, by_windows, tmp_path
) -> None:
    texts = ["bread " * 400, "🙂"]
    for _ in range(2):
        found = {}
        for one in (encoder, by_windows):
            with RowStore(tmp_path, vector_schema()) as store:
                stored = StoredEncoder(lambda one=one: one, store, "digest", one.long)
                found[one.long] = stored.encode(texts)
        assert found["cut"].truncated == [True, False]
        assert found["windows"].truncated == [False, False]
        assert found["cut"].unknown == found["windows"].unknown == [0.0, 1.0]
        assert float(found["cut"].vectors[0] @ found["windows"].vectors[0]) < 0.9999
    assert stored.computed == 0


def test_cut_is_what_it_was_before_there_were_windows() -> None:
    assert EmbeddingSettings().identity() == {}
    assert EmbeddingSettings(long="windows").identity() == {"long": "windows"}


def test_a_tokenizer_that_does_not_say_where_its_tokens_are_is_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(UserError, match=r"Slow.*embeddings\.encoder"):
        tokens_of(Slow(), ["text"])


# What is said of it.


def embedded(folder: Path, minilm: Path, texts: list[tuple[str, str]], **options: Any) -> Path:
    names = [f"{number:032x}" for number in range(len(texts))]
    candidates = [
        candidate(name, sample=number, completion=response)
        for number, (name, (response, _)) in enumerate(zip(names, texts, strict=True))
    ]
    ratings = [rating(name, wim=wim) for name, (_, wim) in zip(names, texts, strict=True)]
    write_table(folder / "d", DIALOGUES, as_arrow(DIALOGUES, candidates))
    write_table(folder / "r", RATINGS, as_arrow(RATINGS, ratings))
    manifest, store, output = minilm / "manifest.json", folder / "store", folder / "embeddings"
    embed_critiques(folder / "d", folder / "r", manifest, "j", store, output, **options)
    assert rows_wanted(folder / "d", folder / "r", manifest, store, **options)[1] == 0
    return output


def test_the_table_and_the_log_say_what_is_not_read(minilm, tmp_path, caplog) -> None:
    caplog.set_level(logging.WARNING)
    texts = [("bread " * 300, "It gives no date."), ("🙂", THAI), ("Bread.", CHINESE)]
    output = embedded(tmp_path, minilm, texts)
    rows = read_embeddings(output).sort_by("candidate_id").to_pylist()
    assert [row["response_unknown"] for row in rows] == [0.0, 1.0, 0.0]
    assert [row["response_truncated"] for row in rows] == [True, False, False]
    assert [round(row["wim_unknown"], 1) for row in rows] == [0.0, 1.0, 0.7]
    said = [record.getMessage() for record in caplog.records if "embeddings:" in record.message]
    assert any("33 % of responses are longer than the encoder reads" in line for line in said)
    assert any("1 of 3 responses consist of tokens" in line for line in said)
    assert any("67 % of critiques have more than 10 % of tokens" in line for line in said)
    assert embeddings_read([output])["critiques"].hard.count == 2


def test_by_windows_nothing_is_cut(minilm, tmp_path, caplog) -> None:
    output = embedded(tmp_path, minilm, [("bread " * 300, "No date.")], long="windows")
    assert embeddings_read([output])["responses"].cut.count == 0
    assert not [record for record in caplog.records if "longer than" in record.message]


def test_few_texts_that_are_cut_or_hard_to_read_are_no_warning() -> None:
    few = texts_read([True] * 5 + [False] * 95, [0.5] * 5 + [0.1] * 95)
    assert reading_warnings({"responses": few}) == []
    many = texts_read([True] * 6 + [False] * 94, [0.5] * 6 + [0.0] * 94)
    assert len(reading_warnings({"responses": many})) == 2
    assert reading_warnings({"responses": texts_read([], [])}) == []
    one = texts_read([False] * 1000, [1.0] + [0.0] * 999)
    assert len(reading_warnings({"critiques": one})) == 1
