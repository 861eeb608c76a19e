"""Settings of endpoints and served models: what is refused, and what makes another model."""

import re

import pytest

from wim.errors import UserError
from wim.settings.load import load_config
from wim.settings.models import ModelSource

URL = "https://api.example.org/v1"
FAR = {"source": "endpoint:far-1@2026-01", "api": {"url": URL, "key_env": "FAR_KEY"}}
NEAR = {"source": "path:model", "serve": "server {model} --port {port}"}
SERVED = ModelSource(**NEAR)
SECRET = "sk-Secret0123456789"


def config(models: dict[str, object], **more: object) -> dict[str, object]:
    judges = {name: {"model": name} for name in models}
    rewards = {"wim": {"judge": next(iter(models)), "zeta": 1.0}}
    return {"models": models, "judges": judges, "rewards": rewards, **more}


def refusal(values: dict[str, object]) -> str:
    with pytest.raises(UserError) as refused:
        load_config(values, "mine.yaml")
    return str(refused.value)


@pytest.mark.parametrize("source", ["far-1@2026-01", "org/far-1@v2", "@cf/org/far-1@1.0"])
def test_endpoints_and_served_models_may_judge(source) -> None:
    far = FAR | {"source": f"endpoint:{source}"}
    found = load_config(config({"far": far, "near": NEAR}))
    assert found.models["far"].engine == "endpoint"
    assert found.models["near"].engine == "served"
    assert found.models["smollm2"].engine == "local"


@pytest.mark.parametrize(
    ("model", "key", "words"),
    [
        ({"source": "endpoint:far-1"}, "source", "endpoint:<name>@<revision>"),
        ({"source": "endpoint:far 1@2"}, "source", "endpoint:<name>@<revision>"),
        ({"source": "endpoint:far-1@2"}, "api.url", "https://"),
        (FAR | {"api": {"key_env": "FAR_KEY"}}, "api.url", "https://"),
        (FAR | {"api": {"url": "api.example.org/v1"}}, "api.url", "https://"),
        (FAR | {"api": {"url": "ftp://api.example.org"}}, "api.url", "https://"),
        (FAR | {"api": {"url": "https://api.example.org:x/v1"}}, "api.url", "https://"),
        (FAR | {"api": {"url": URL, "requests_in_flight": 0}}, "api.requests_in_flight", "1"),
        (FAR | {"api": {"url": URL, "retries": 3}}, "api.retries", "unknown key"),
        (FAR | {"api": {"url": URL, "request": {"stream": True}}}, "api.request.stream", "leave"),
        (FAR | {"dtype": "bfloat16"}, "dtype", "leave it out"),
        (FAR | {"sha256": "0" * 64}, "sha256", "leave it out"),
        (FAR | {"serve": "server --port {port}"}, "serve", "leave it out"),
        (NEAR | {"api": {"url": URL}}, "api.url", "endpoint:"),
        (NEAR | {"dtype": "float32"}, "dtype", "leave it out"),
        (NEAR | {"serve": "vllm serve {model}"}, "serve", "--port {port}"),
        (NEAR | {"serve": "{port}"}, "serve", "--port {port}"),
        (NEAR | {"serve": "vllm 'serve --port {port}"}, "serve", "cannot be split"),
        (NEAR | {"serve": ""}, "serve", "text"),
        ({"source": "path:model", "api": {}}, "api", "serve"),
        (NEAR | {"api": {"batch": True}}, "api.batch", "leave it out"),
        (
            FAR | {"api": {"url": URL, "batch": True, "tokens_per_minute": 9}},
            "api.tokens_per_minute",
            "leave it out",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_what_to_write(model, key, words) -> None:
    message = refusal(config({"far": model}))
    assert message.startswith(f"mine.yaml: models.far.{key}: ")
    assert words in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "api",
    [
        {"url": URL, "key_env": SECRET},
        {"url": URL, "key_env": "hf_Secret0123456789"},
        {"url": f"https://user:{SECRET}@api.example.org/v1"},
        {"url": f"{URL}?key={SECRET}"},
        {"url": f"ftp://{SECRET}"},
    ],
)
def test_a_key_in_the_wrong_place_is_refused_and_not_repeated(api) -> None:
    message = refusal(config({"far": FAR | {"api": api}}))
    assert "models.far.api." in message
    assert "ecret0123456789" not in message


@pytest.mark.parametrize("model", [FAR, NEAR])
def test_what_only_an_api_reaches_is_no_encoder(model) -> None:
    message = refusal(config({"far": model}, embeddings={"encoder": "far"}))
    assert message.startswith("mine.yaml: embeddings.encoder: found 'far'")
    assert "sentence encoder" in message


def test_an_endpoint_is_not_trained() -> None:
    dialogues = {"actor": "far"}
    message = refusal(config({"far": FAR}, dialogues=dialogues))
    assert message.startswith("mine.yaml: dialogues.actor: found 'far', an endpoint")
    assert "`arms: {}`" in message
    assert load_config(config({"far": FAR}, dialogues=dialogues, arms={})).arms == {}


def test_a_training_that_queries_its_judge_at_each_step_takes_no_batches() -> None:
    far = FAR | {"api": {"url": URL, "batch": True}}
    arms = {"wim": {"reward": "wim", "method": "online_dpo"}}
    message = refusal(config({"far": far}, arms=arms))
    assert message.startswith("mine.yaml: arms.wim.reward: found 'wim', whose judge")


def test_a_batch_is_no_part_of_a_models_identity() -> None:
    far = FAR | {"api": {"url": URL, "batch": True, "batch_requests": 9}}
    first, other = (load_config(config({"far": each})).models["far"] for each in (FAR, far))
    assert first.staging == other.staging and first.answering == other.answering


@pytest.mark.parametrize("name", ["smollm2", "fra"])
def test_a_price_is_of_a_model_behind_a_server(name: str) -> None:
    prices = {name: {"input": 1, "output": 2}}
    message = refusal(config({"far": FAR}, prices=prices))
    assert message.startswith(f"mine.yaml: prices.{name}: found '{name}', ")
    assert "write one of far" in message
    assert load_config(config({"far": FAR}, prices={"far": prices[name]})).prices["far"].output == 2


def test_a_served_model_may_be_trained() -> None:
    assert load_config(config({"near": NEAR}, dialogues={"actor": "near"})).arms


def test_the_command_that_serves_a_model_decides_its_answers_and_not_its_files() -> None:
    first = ModelSource.model_validate(NEAR)
    other = ModelSource.model_validate(NEAR | {"serve": "server {model} --port {port} --fast"})
    assert first.staging == other.staging == ModelSource(source="path:model").staging
    assert first.answering != other.answering


def test_where_and_how_fast_a_model_is_asked_is_no_part_of_it() -> None:
    first = ModelSource.model_validate(FAR)
    moved = {"url": "http://other/v1", "key_env": "OTHER", "requests_in_flight": 3, "timeout": 9}
    other = ModelSource.model_validate(FAR | {"api": {**moved, "tokens_per_minute": 9}})
    assert (first.staging, first.answering) == (other.staging, other.answering)
    lower = ModelSource.model_validate(FAR | {"api": {"url": URL, "request": {"top_k": 5}}})
    assert lower.staging != first.staging


def test_a_model_of_this_process_has_the_specs_that_it_had_before() -> None:
    model = ModelSource(source="path:model", dtype="float32")
    assert model.staging == {"source": "path:model", "sha256": None, "dtype": "float32"}
    assert model.answering == {"dtype": "float32"}
    assert model.choosing == {}


@pytest.mark.parametrize(
    "source",
    ["hf:a/b@../../x", "hf:../b@main", "hf:a/..@main", "hf:a/b@..", "hf:a/b@x/../../y", "hf:./b@x"],
)
def test_a_name_that_leads_out_of_the_hubs_cache_is_refused(source: str) -> None:
    words = r"found '.*\.'?.*expected hf:<repo>@<revision>"
    assert re.search(f"models.x.source: {words}", refusal({"models": {"x": {"source": source}}}))
    base = {"source": "path:x", "adapter": source}
    assert re.search(f"models.x.adapter: {words}", refusal({"models": {"x": base}}))
    for files in ("data.jsonl", "../data.jsonl"):
        said = refusal({"prompts": {"files": [f"{source}/{files}"]}})
        assert "prompts.files" in said and "hf:<data set>@<revision>/<files>" in said
    assert "prompts.files" in refusal({"prompts": {"files": ["hf:a/b@main/../../x.json"]}})


@pytest.mark.parametrize("source", ["hf:a/b@refs/pr/1", "hf:a.b/c-d@v1..2", "hf:_a/b_@.hidden"])
def test_names_with_dots_are_names(source: str) -> None:
    assert load_config({"models": {"x": {"source": source}}}).models["x"].source == source


def test_a_server_of_the_jobs_own_is_kept_busy_unless_something_else_is_written() -> None:
    assert (SERVED.calling.requests_in_flight, SERVED.calling.timeout) == (256, 3600)
    written = ModelSource(**NEAR, api={"requests_in_flight": 16, "samples": 2})
    assert (written.calling.requests_in_flight, written.calling.timeout) == (16, 3600)
    assert written.calling.samples == 2
    far = ModelSource(**FAR)
    assert (far.calling.requests_in_flight, far.calling.timeout) == (16, 120)
