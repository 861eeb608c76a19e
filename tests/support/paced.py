"""Projects whose dialogues take a known time on any machine: an API gives them, one by one."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.api_server import ApiServer, Fields, Reply, last_message, said
from support.workflow_runs import Project

SECONDS_A_ROW = 0.25


def numbered(count: int) -> list[str]:
    """So many prompts."""
    return [f"Say something about the number {number}." for number in range(count)]


def answers_to(prompts: list[str]) -> set[str]:
    """What the API says to some of them."""
    return {_answer(prompt) for prompt in prompts}


def _answer(prompt: str) -> str:
    return f"Of {prompt.split()[-1]} little is known."


@contextmanager
def paced_api() -> Iterator[str]:
    """The address of the API."""

    def answer(fields: Fields, _: int) -> Reply:
        time.sleep(SECONDS_A_ROW)
        return said(_answer(last_message(fields)))

    with ApiServer(answer) as server:
        yield server.url


def paced_project(
    folder: Path, settings: dict[str, object], url: str, prompts: list[str]
) -> Project:
    """A project of one shard whose dialogues, two of each prompt, are still to be made by the API."""
    project = Project.copied(folder, settings, prompts)
    api = {"url": url, "requests_in_flight": 1}
    project.set("models.far", {"source": "endpoint:far@1", "api": api})
    project.set("dialogues.actor", "far")
    project.set("prompts.shards", 1)
    project.set("arms", {})
    project.run("--until", "shard_prompts", "stage_model")
    return project
