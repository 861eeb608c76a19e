"""The shape of a model is read from its folder, whatever its type calls the sizes."""

from pathlib import Path

import pytest

from support.small_architectures import HEADS, WIDTH, word_tokenizer, write_small_model
from wim.sizing.folders import UNLIMITED, is_model, model_of_folder


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "bloom", "mpt", "gemma3", "gemma3n_text"])
def test_a_shape_is_read_under_the_names_of_each_type(model_type: str, tmp_path: Path) -> None:
    write_small_model(model_type, tmp_path)
    found = model_of_folder(tmp_path, "x")
    assert (found.hidden, found.heads, found.layers >= 2) == (WIDTH, HEADS, True)
    assert found.intermediate >= 2 * WIDTH and found.parameters > 0


def test_an_encoder_without_a_transformer_has_its_table_and_no_limit(tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    words = word_tokenizer().backend_tokenizer
    SentenceTransformer(modules=[StaticEmbedding(words, embedding_dim=16)]).save(str(tmp_path))
    found = model_of_folder(tmp_path, "static")
    assert is_model(tmp_path)
    assert (found.layers, found.hidden, found.parameters) == (0, 16, 16 * 64)
    assert found.longest == UNLIMITED
