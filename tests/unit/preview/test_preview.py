"""`wim preview`: what it prints, and that a run finds its rows."""

import io
from pathlib import Path

import pytest

from support.builders import candidate, prompt, rating, user
from support.workflow_runs import Project, rows_computed, tiny_config
from wim.cli import main
from wim.preview.show import printable, show_preview
from wim.preview.stages import Previewed


def printed(found: Previewed) -> str:
    from rich.console import Console

    out = io.StringIO()
    show_preview(found, Console(file=out, width=100, force_terminal=False))
    return out.getvalue()


def test_every_candidate_is_printed_with_its_judgement_and_rewards() -> None:
    scored = {"status": "ok", "reward": 0.25}
    failed = {"status": "echo", "reward": None}
    found = Previewed(
        prompts=[prompt("p", messages=user("Why?"))],
        candidates=[
            vars(
                candidate("c", context=user("Why?"), completion="Because.", finish_reason="length")
            ),
            vars(candidate("d", context=user("Why?"), completion="No idea.", sample=1)),
        ],
        ratings={
            "j": {
                "c": vars(rating("c", wim="It lacks a reason.")),
                "d": vars(rating("d", status="echo")),
            }
        },
        rewards={"wim": {"c": scored, "d": failed}},
    )
    text = printed(found)
    assert text.count("Why?") == 1
    for part in ("Because.", "It lacks a reason.", "ok, rating 7, expected 6.50", "0.250"):
        assert part in text
    assert "candidate 1: 2 tokens, cut at its longest" in text
    assert "none: echo" in text


def test_nothing_in_a_text_acts_on_the_terminal_or_is_markup() -> None:
    hostile = "\x1b[31mred\x1b[0m [bold]x[/bold] [/nonsense] \u202eback \x07"
    found = Previewed(
        prompts=[prompt("p", messages=user(hostile))],
        candidates=[vars(candidate("c", context=user(hostile), completion=hostile))],
    )
    text = printed(found)
    assert "\x1b" not in text and "\u202e" not in text and "\x07" not in text
    assert "[bold]x[/bold] [/nonsense]" in text and "<U+202E>back" in text
    assert printable("a\tb\nc") == "a\tb\nc"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--judge", "nobody"], "found 'nobody'; write one of: smollm2"),
        (["1"], "manifest.json: no such file; run `snakemake --"),
        (["--configfile", "none.yaml"], "none.yaml: no configuration could be read"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    problem: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["preview", *arguments]) == 1
    assert problem in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_finds_the_rows_of_a_preview(tmp_path: Path, tiny_model: Path, minilm: Path) -> None:
    import sys

    sections = {
        "rewards": {"wim": {"judge": "tiny", "zeta": 0.5}},
        "arms": {"wim": {"reward": "wim"}},
    }
    prompts = [f"Name a lake, please, the {n}th." for n in range(6)]
    project = Project.copied(tmp_path, tiny_config(tiny_model, minilm, **sections), prompts)
    project.run("--", "results/models/tiny/manifest.json", "results/models/encoder/manifest.json")
    done = project.call([sys.executable, "-m", "wim.cli", "preview", "2"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 prompts, 4 candidates" in done.stdout
    rows = rows_computed(project.run("--", "rewards"))
    assert rows["generated"] == rows["judged"] == 8
