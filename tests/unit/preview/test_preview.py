"""`wim preview`: what it prints, and that a run finds its rows."""

import io
from pathlib import Path

import pytest

from support.builders import candidate, prompt, rating, user
from support.workflow_runs import REPOSITORY, Project, rows_computed, tiny_config
from wim.cli import main
from wim.dag.inputs import Inputs
from wim.dag.rewards import HEADS
from wim.paths import at
from wim.preview.show import printable, show_preview
from wim.preview.stages import Preview, Previewed
from wim.settings.load import load_config


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


def test_rewards_of_the_critique_are_shown_and_those_with_an_unfitted_head_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = load_config(
        {
            "judges": {
                "j": {"model": "smollm2"},
                "twice": {"model": "smollm2", "samples": 2, "sampling": {"temperature": 1.0}},
            },
            "rewards": {
                "both": {"kind": "panel", "of": ["ties", "mean"]},
                "unfitted": {"kind": "panel", "of": ["head", "other"]},
                "ties": {"judge": "j", "zeta": 0.0, "ties": "lack_share"},
                "mean": {"judge": "twice", "zeta": 0.4},
                "head": {"judge": "j", "kind": "critique_head", "learns_from": ["twice"]},
                "other": {"judge": "twice", "kind": "critique_head", "learns_from": ["j"]},
            },
            "arms": {"both": {"reward": "both"}},
        }
    )
    inputs = Inputs(config, REPOSITORY)
    assert Preview(config, inputs, tmp_path, ["j", "twice"])._scored() == ["ties", "mean", "both"]
    assert Preview(config, inputs, tmp_path, ["j"])._scored() == ["ties"]
    heads = Path(at(HEADS, reward="head"))
    heads.parent.mkdir(parents=True)
    heads.touch()
    assert Preview(config, inputs, tmp_path, ["j"])._scored() == ["ties", "head"]


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


@pytest.mark.slow
def test_a_preview_shows_every_sample_and_the_rewards_of_them(
    tmp_path: Path, tiny_model: Path, minilm: Path
) -> None:
    import sys

    sections = {
        "rewards": {
            "wim": {"judge": "tiny", "zeta": 0.5},
            "brief": {"judge": "tiny", "zeta": 0.0, "length_penalty": 0.1},
            "both": {"kind": "panel", "of": ["wim", "brief"]},
        },
        "arms": {"both": {"reward": "both"}},
    }
    config = tiny_config(tiny_model, minilm, **sections)
    project = Project.copied(tmp_path, config, ["Name a lake, please.", "Name a river."])
    project.set("judges.tiny.samples", 2)
    project.run("--", "results/models/tiny/manifest.json", "results/models/encoder/manifest.json")
    done = project.call([sys.executable, "-m", "wim.cli", "preview", "1"])
    assert done.returncode == 0, done.stdout + done.stderr
    for part in ("judge tiny:", "judge tiny~2:", "wim ", "brief ", "both "):
        assert part in done.stdout
