"""Several samples and named aspects of a judgement on the page, in Chromium."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.browser import Browser, browser_is_there, chromium
from support.builders import rating
from support.page_tables import ARMS, BOUNDS, Two, write_tables
from wim.tables.aspects import ASPECT_RATINGS
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import RATINGS
from wim.viewing.page import page as write_page

pytestmark = pytest.mark.skipif(
    not browser_is_there(), reason="chromium and chromedriver are not installed"
)
ROWS = [
    Two(("Алфа.", "Beta."), critiques=("It lacks dates.", "It lacks names.")),
    Two(("Gamma.", "Delta.")),
]
HOSTILE = '<img src=x onerror="document.body.dataset.attacked = 1"> \u202eturned\u0000'
# Of the first candidate: sample, aspect, number, words; in the order of the table.
ASPECTS = [
    (1, "depth", 5, "It gives no reason."),
    (1, "honesty", 3, "It is too sure."),
    (2, "depth", 6, "It gives one reason."),
    (2, "honesty", None, HOSTILE),
]
TITLES = [
    *("Judge j, sample 1", "Judge j, sample 1, depth", "Judge j, sample 1, honesty"),
    *("Judge j, sample 2", "Judge j, sample 2, depth", "Judge j, sample 2, honesty"),
]
PAIR = "#pairs=wim.1.p0a.p0b"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A judge of two samples and two aspects, one of which it said nothing usable on."""
    folder = tmp_path_factory.mktemp("page")
    tables = write_tables(folder, ROWS)
    first = Path(tables.ratings[0])
    second = first.parents[1] / "j~2" / first.name
    said = [
        rating(f"p{n}{side}", rating=4, wim="It lacks a source.", raw=f"Again, of p{n}{side}.")
        for n in range(len(ROWS))
        for side in "ab"
    ]
    write_table(second, RATINGS, as_arrow(RATINGS, said))
    tables.ratings.append(str(second))
    rows: list[dict[str, Any]] = [
        {
            **{"candidate_id": "p0a", "judge": "j", "sample": sample, "aspect": aspect},
            **{"status": "ok" if number else "echo", "rating": number, "rating_expected": None},
            **{"rating_source": None, "wim": words if number else None, "raw": words},
            "judge_digest": "d",
        }
        for sample, aspect, number, words in ASPECTS
    ]
    aspects = folder / "aspects/base/j/000.parquet"
    table = pa.Table.from_pylist(rows, schema=ASPECT_RATINGS.schema)
    write_table(aspects, ASPECT_RATINGS, table)
    tables.aspects.append(str(aspects))
    output = folder / "page.html"
    write_page(tables, ARMS, evaluations=[], controls=[], bounds=BOUNDS, seed=0, output=output)
    return output


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("downloads")) as opened:
        opened.resize(1280, 800)
        yield opened


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The page at a link to the first pair; it says nothing on the console until the test is over."""
    browser.console()
    browser.open(page, PAIR)
    yield browser
    assert browser.console() == []


def judgements(browser: Browser, side: str) -> list[list[str]]:
    """Title, number or status, and words of each judgement of a response, in order."""
    found: list[list[str]] = browser.run(
        """
        return [...document.querySelectorAll(`.side.${arguments[0]} .judgement`)].map((part) => [
          part.querySelector('h4').textContent,
          [...part.querySelectorAll('.chip')].map((chip) => chip.textContent).join(', '),
          part.querySelector('.text').textContent,
        ]);""",
        side,
    )
    return found


def test_every_sample_and_aspect_has_its_title_number_and_words(opened: Browser) -> None:
    found = judgements(opened, "chosen")
    assert [title for title, _, _ in found] == TITLES
    words = [text for _, _, text in found]
    assert words[0] == "It lacks dates." and words[3] == "It lacks a source."
    assert [words[1], words[2], words[4]] == [said for *_, said in ASPECTS[:3]]
    assert [facts.split(", ")[1] for _, facts, _ in found if "rating" in facts] == [
        *("rating 7", "rating 5", "rating 3", "rating 4", "rating 6")
    ]
    others = judgements(opened, "rejected")
    assert [title for title, _, _ in others] == ["Judge j, sample 1", "Judge j, sample 2"]


def test_words_on_an_aspect_that_cannot_be_used_are_text_with_their_status(
    opened: Browser,
) -> None:
    title, facts, words = judgements(opened, "chosen")[5]
    assert title == "Judge j, sample 2, honesty"
    assert facts == "echo"
    assert words == HOSTILE
    unseen = "return [...document.querySelectorAll('.unseen')].map((each) => each.dataset.code)"
    assert opened.run(unseen) == ["U+202E", "U+0000"]
    assert opened.run("return document.body.dataset.attacked ?? null") is None
    assert opened.count("#detail img") == 0


def test_words_of_every_sample_and_aspect_are_found_by_search(opened: Browser) -> None:
    for query, count in (("too sure", 1), ("one reason", 1), ("lacks a source", 2)):
        opened.write("#search", query)
        opened.wait(f"return query === {query!r}")
        opened.wait(f"return matching.length === {count}")


def test_texts_are_filtered_by_writing_system_and_by_an_aspects_status(opened: Browser) -> None:
    headings = opened.run(
        "return [...document.querySelectorAll('[data-facet]')].map((each) => each.innerText)"
    )
    assert any(text.startswith("Writing system") for text in headings)
    assert not any(text.startswith("Language") for text in headings)
    for facet, value in (("script", "Cyrillic"), ("statuses", "echo")):
        opened.click(f'[data-facet="{facet}"] [data-value="{value}"]')
        opened.wait("return matching.length === 1")
        assert opened.run("return matching[0].id") == "wim.1.p0a.p0b"
        opened.click("#clear")


def test_the_link_of_a_pair_opens_it_with_all_its_judgements(opened: Browser, page: Path) -> None:
    address = opened.run("return document.querySelector('.permalink').href")
    assert address.endswith(PAIR)
    opened.open(page)
    opened.open(page, "#" + address.partition("#")[2])
    assert [title for title, _, _ in judgements(opened, "chosen")] == TITLES


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_judgements_fit_a_phone_in_either_colours(
    opened: Browser, page: Path, scheme: str, tmp_path: Path
) -> None:
    opened.prefer(scheme)
    opened.resize(390, 844)
    opened.open(page, PAIR)
    try:
        assert opened.run("return document.documentElement.scrollWidth") <= 390
        assert opened.run("return document.getElementById('detail').scrollWidth") <= 390
        contrast = opened.run(
            """
            const grey = (colour) => colour.match(/[\\d.]+/g).slice(0, 3)
              .map(Number).reduce((a, b) => a + b) / 3;
            const title = document.querySelector('.judgement h4');
            const ground = getComputedStyle(document.body).backgroundColor;
            return Math.abs(grey(getComputedStyle(title).color) - grey(ground));"""
        )
        assert contrast > 100
        opened.run("document.querySelector('.judgement').scrollIntoView()")
        opened.screenshot(tmp_path / f"{scheme}.png")
    finally:
        opened.resize(1280, 800)
        opened.prefer("light")
