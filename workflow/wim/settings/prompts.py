"""Settings of the prompts: what is read, kept, split and sharded."""

import hashlib
import re
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from wim import paths
from wim.settings.models import HUB_NAME
from wim.settings.section import Section
from wim.settings.topics import TopicSettings

DEMO = ["config/prompts/demo.jsonl"]

HUB_PROMPTS = re.compile(
    rf"hf:(?P<repo>{HUB_NAME}/{HUB_NAME})@(?P<revision>{HUB_NAME})/(?P<files>(?!(?:\S*/)?\.\.(?:/|$))[^\s/]\S*)"
)


def staged_path(source: str) -> str | None:
    """Where a data set's files are staged; None for a path on this machine."""
    parts = HUB_PROMPTS.fullmatch(source)
    if parts is None:
        return None
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    dataset = f"{parts['repo'].replace('/', '--')}-{digest}"
    return paths.at(paths.HUB_PROMPTS, dataset=dataset)


class PromptSettings(Section):
    """The prompts that the run starts from."""

    files: list[str] = DEMO
    """Files to read: .jsonl, .json or .csv, also compressed (.gz, .zst), .parquet, a folder saved
    by `datasets`, or a folder or an archive of these (.zip, .tar, .tar.gz, .tgz, .tar.bz2,
    .tar.xz). Or `hf:<data set>@<revision>/<files>`: files of a data set on the hub, by their path
    there or a pattern such as data/train-*.parquet. With `topics`, an empty list reads none. Unit:
    paths, from the working directory."""

    topics: TopicSettings | None = None
    """Topics that models propose, as prompts beside those of the files; null creates none.
    Unit: none."""

    split: str | None = None
    """Split to read of a data set with several, or several splits joined by +, as train+test. The
    splits are those of a folder that `datasets` saved, or what the names in a folder or an archive
    say, as train-00000-of-00002.parquet or test/0.jsonl. null reads data sets of one split alone.
    Unit: name."""

    column: str | None = None
    """Column that holds the prompt, as a string or as a conversation: a list of {role, content} or
    of {from, value}, whose prompt is what comes before the first answer (under the name prompt, a
    list that ends with a user message is kept whole). null tries prompt, messages, conversations
    and instruction, in this order. Unit: column name."""

    reference_column: str | None = None
    """Column that holds a reference answer; null takes the answer that follows the prompt in a
    conversation, if there is one. Unit: column name."""

    system_column: str | None = None
    """Column that holds a system message, which is put before the prompt; null uses none, and warns
    of a column `system` or `system_prompt`. Unit: column name."""

    transcripts: Literal["refuse", "read", "text"] = "refuse"
    """What a text becomes that is a whole conversation: one that begins with `Human:` or `User:` and
    has turns of `Assistant:`, as in HH-RLHF, the same with `### `, or with the markers of a chat
    template; or messages written as JSON or as Python prints them. refuse: an error that names it;
    read: its turns become messages, and the prompt is what comes before the assistant's last turn (of
    JSON as of any conversation); text: a prompt like any other, markers and all. Unit: none."""

    unusable: Literal["refuse", "drop"] = "refuse"
    """What happens to a row that holds no prompt, such as a conversation that starts with an answer,
    has unknown roles, or images before the answer. refuse: an error that names it; drop: it is left
    out and counted. Unit: none."""

    limit: int | None = Field(default=None, ge=1)
    """Maximum number of prompts, of which those are kept that come first by the hash of their
    content; null keeps all. A prompt added to the file may push out another one. Unit: prompts."""

    fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the prompts to keep, chosen by the hash of their content. Unit: share."""

    min_chars: int = Field(default=3, ge=1)
    """Shorter prompts are left out. Unit: characters, over all messages."""

    max_chars: int = Field(default=4000, ge=1)
    """Longer prompts are left out. Unit: characters, over all messages."""

    eval_fraction: float = Field(default=0.1, ge=0, lt=1)
    """Share of the prompts to hold out from training, chosen by the hash of their content.
    Unit: share."""

    shards: int = Field(default=2, ge=1, le=99_999)
    """Number of hash buckets; each is one job per stage, and an edited prompt reruns its bucket
    only. Unit: shards."""

    def identity(self) -> dict[str, Any]:
        """The settings that decide the table, without the files and without what has no effect."""
        values = self.model_dump(mode="json", exclude={"files", "shards", "topics"})
        for name in ("split", "system_column", "transcripts", "unusable"):
            if values[name] == type(self).model_fields[name].default:
                del values[name]
        return values

    @field_validator("files")
    @classmethod
    def _known_form(cls, files: list[str]) -> list[str]:
        for source in files:
            if source.startswith("hf:") and not HUB_PROMPTS.fullmatch(source):
                raise ValueError(
                    f"found '{source}'; write hf:<data set>@<revision>/<files>, as in "
                    "hf:trl-lib/tldr@main/data/train-*.parquet"
                )
        return files

    @model_validator(mode="after")
    def _range(self) -> "PromptSettings":
        if self.min_chars > self.max_chars:
            raise ValueError(f"min_chars ({self.min_chars}) is above max_chars ({self.max_chars})")
        return self

    @model_validator(mode="after")
    def _somewhere_from(self) -> "PromptSettings":
        if self.topics is None and not self.files:
            raise ValueError("no files and no topics; write files: [<file of prompts>]")
        if self.topics is None:
            return self
        if self.files == DEMO:
            raise ValueError(
                "the topics would be added to the demo's prompts; write files: [] for topics alone"
            )
        columns = (self.reference_column, self.system_column)
        if self.column not in (None, "prompt") or columns != (None, None):
            raise ValueError(
                "topics come in the column prompt and have neither reference nor system message; "
                "leave column, reference_column and system_column out, and name the files' own "
                "columns so"
            )
        return self
