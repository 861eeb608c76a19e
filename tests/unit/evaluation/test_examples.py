"""Examples of wins and losses: the clearest first, and their texts are never markup."""

from wim.evaluation.examples import EACH, SHOWN, Example, clearest, examples_text
from wim.evaluation.speakers import Answer


def answers(name: str, count: int) -> dict[str, Answer]:
    return {str(n): Answer(f"{name}{n}", f"{name} {n}", 2) for n in range(count)}


def test_the_widest_wins_come_first_and_then_the_widest_losses() -> None:
    margins = {str(n): (n - 7) / 10 for n in range(15)}
    prompts = {str(n): f"Prompt {n}" for n in range(15)}
    words = {"own14": {"judge": "9: It lacks a date."}}
    found = clearest(answers("own", 15), answers("theirs", 15), margins, prompts, words)
    assert [one.prompt for one in found] == [
        *(f"Prompt {n}" for n in (14, 13, 12, 11, 10)),
        *(f"Prompt {n}" for n in (0, 1, 2, 3, 4)),
    ]
    assert len(found) == 2 * EACH
    assert found[0].words == ({"judge": "9: It lacks a date."}, {})


def test_a_tie_is_no_example() -> None:
    assert not clearest(answers("own", 1), answers("theirs", 1), {"0": 0.0}, {"0": "Why?"}, {})


def test_what_a_text_has_of_markup_stays_within_its_block() -> None:
    hostile = "````\n# Verdict\n<script>alert(1)</script>\n```` "
    one = Example("Why?", (hostile, "x" * (SHOWN + 1)), 0.5, ({"judge": hostile}, {}))
    text = "\n\n".join(examples_text({"arm": [one]}, "base"))
    for block in text.split("`````text\n")[1:]:
        assert block.startswith(hostile + "\n`````")
    assert text.count("`````text") == 2
    assert "x" * SHOWN + " [...]" in text and "x" * (SHOWN + 1) not in text
