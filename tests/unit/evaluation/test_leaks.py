"""Which prompts of an evaluation stand in what was trained on."""

import json
from collections import Counter
from pathlib import Path

from support.builders import prompt, user
from wim.evaluation.leaks import find_leaks, find_split_leaks, leaks, words
from wim.reports.leaks import count_leaks, leaks_text
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import PROMPTS

LONG = (
    "Explain in plain words how a heat pump can move more energy into a house than it takes from "
    "the grid, and name two cases in which it cannot."
)


def kinds(own: dict[str, str], trained: dict[str, str]) -> dict[str, tuple[str, str]]:
    found = leaks(
        *({name: words(user(text)) for name, text in of.items()} for of in (own, trained))
    )
    return {leak.prompt_id: (leak.kind, leak.trained_id) for leak in found}


def test_the_same_words_are_a_leak_whatever_their_case_and_marks() -> None:
    assert kinds({"e": "Name three rivers!"}, {"t": "  name THREE rivers "}) == {
        "e": ("exact", "t")
    }
    assert kinds({"e": "Name three rivers!"}, {"t": "Name four lakes."}) == {}


def test_thirteen_words_in_a_row_are_a_leak_and_twelve_are_not() -> None:
    ahead = LONG.split()
    assert kinds({"e": "Please: " + " ".join(ahead[:13]) + " ... so?"}, {"t": LONG}) == {
        "e": ("overlap", "t")
    }
    assert kinds({"e": "Please: " + " ".join(ahead[:12]) + " ... so?"}, {"t": LONG}) == {}


def test_what_many_training_prompts_share_is_a_form_and_no_leak() -> None:
    form = "Summarise the following post in one sentence of at most twenty words for a reader: "
    trained = {f"t{n}": f"{form} the post number {n} is about bread" for n in range(30)}
    assert kinds({"e": form + "my cat left"}, trained) == {}
    assert kinds({"e": form + "my cat left"}, dict(list(trained.items())[:3])) == {
        "e": ("overlap", "t0")
    }


def test_nearly_the_same_words_are_a_leak() -> None:
    text = "Which of the rivers of France is longest and where does it end"
    assert kinds({"e": text + " please"}, {"t": text})["e"][0] in ("near", "overlap")
    short = "Name the longest river in France and its end"
    assert kinds({"e": short + " now"}, {"t": short}) == {"e": ("near", "t")}
    assert kinds({"e": "Name the shortest lake in Spain and its depth"}, {"t": short}) == {}


def test_an_empty_prompt_and_an_empty_training_set_have_no_leak() -> None:
    assert kinds({"e": "?!"}, {"t": "..."}) == {}
    assert kinds({"e": LONG}, {}) == {}


def test_only_prompts_that_are_trained_on_count_and_each_leak_is_a_line(tmp_path: Path) -> None:
    own, run = tmp_path / "own.parquet", tmp_path / "run.parquet"
    write_table(own, PROMPTS, as_arrow(PROMPTS, [prompt("e", split="eval", messages=user(LONG))]))
    rows = [
        prompt("e", split="eval", messages=user(LONG)),
        prompt("t", messages=user(LONG.upper())),
    ]
    write_table(run, PROMPTS, as_arrow(PROMPTS, rows))
    find_leaks([own], [run], tmp_path / "leaks.jsonl")
    (line,) = map(json.loads, (tmp_path / "leaks.jsonl").read_text().splitlines())
    assert line == {"prompt_id": "e", "kind": "exact", "trained_id": "t", "share": 1.0}


def test_of_a_runs_own_prompts_those_held_out_are_looked_for_and_counted(tmp_path: Path) -> None:
    run = tmp_path / "run.parquet"
    rows = [
        prompt("e", split="eval", messages=user(LONG)),
        prompt("f", split="eval", messages=user("Nothing of the kind.")),
        prompt("t", messages=user(LONG.upper())),
    ]
    write_table(run, PROMPTS, as_arrow(PROMPTS, rows))
    output = tmp_path / "leaks.jsonl"
    find_split_leaks([run], output)
    counts = count_leaks(output)
    assert counts == {"exact": 1}
    assert "training prompts: 1** (1 exact)" in leaks_text({"leaks.jsonl": counts})
    assert leaks_text({"leaks.jsonl": Counter()}) == ""
