"""The page as a file: what it holds, in which bounds, and that it holds nothing that runs."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from support.builders import rating
from support.page_tables import ARMS, BOUNDS, Two, write_page_of, write_tables
from wim.tables.aspects import ASPECT_RATINGS
from wim.tables.files import as_arrow, write_table
from wim.tables.schemas import RATINGS
from wim.viewing.page import page

ROWS = [
    Two(("Alpha one.", "Beta two."), numbers=(0.0, 1.0)),
    Two(("Gamma.", "Delta."), rewards=(None, 0.5), numbers=(None, 0.5)),
    Two(("Epsilon.", "Zeta."), split="eval"),
]


def content_of(page: Path) -> dict[str, Any]:
    """The rows inside a page."""
    text = page.read_text(encoding="utf-8")
    packed = re.search(r'id="packed">([^<]*)</script>', text)
    assert packed
    found: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed[1])))
    return found


def test_the_page_holds_every_pair_candidate_judgement_and_reward(tmp_path: Path) -> None:
    content = content_of(write_page_of(tmp_path, ROWS))
    candidates, pairs = content["candidates"], content["pairs"]
    assert len(candidates["candidate_id"]) == 6
    chosen = [candidates["completion"][place] for place in pairs["chosen"]]
    assert chosen == ["Alpha one.", "Epsilon."]
    assert pairs["split"] == ["train", "eval"]
    assert pairs["margin"] == [1.0, 1.0]
    assert content["ratings"]["j"]["status"].count("truncated") == 1
    without = content["rewards"]["wim"]["reward"].index(None)
    place = content["rewards"]["wim"]["candidate"][without]
    assert candidates["completion"][place] == "Gamma."
    assert content["rewards"]["wim"]["status"][without] == "truncated"
    assert content["sample"] is None


def test_the_page_holds_every_sample_and_every_aspect_of_a_judgement(tmp_path: Path) -> None:
    tables = write_tables(tmp_path, ROWS)
    first = Path(tables.ratings[0])
    second = first.parents[1] / "j~2" / first.name
    said = [rating("p0a", raw="Again.", wim="It lacks a source."), rating("p0b", wim="No.")]
    write_table(second, RATINGS, as_arrow(RATINGS, said))
    tables.ratings.append(str(second))
    aspects = tmp_path / "aspects/base/j/000.parquet"
    row = {
        **{"candidate_id": "p0a", "judge": "j", "sample": 2, "aspect": "honesty", "status": "ok"},
        **{"rating": 3, "rating_expected": 3.5, "rating_source": None, "wim": "It is too sure."},
        **{"raw": "It is too sure.", "judge_digest": "d"},
    }
    schema = ASPECT_RATINGS.schema
    write_table(aspects, ASPECT_RATINGS, pa.Table.from_pylist([row], schema=schema))
    tables.aspects.append(str(aspects))
    output = tmp_path / "page.html"
    page(tables, ARMS, evaluations=[], controls=[], bounds=BOUNDS, seed=0, output=output)
    ratings = content_of(output)["ratings"]
    assert list(ratings) == ["j"]
    columns = ratings["j"]
    of = zip(columns["sample"], columns["aspect"], columns["candidate"], strict=True)
    places = {each: place for place, each in enumerate(of)}
    assert len(places) == 6 + 2 + 1
    assert columns["wim"][places[2, None, 0]] == "It lacks a source."
    assert columns["raw"][places[2, None, 0]] == "Again."
    assert columns["rating_expected"][places[2, "honesty", 0]] == 3.5
    assert columns["wim"][places[2, "honesty", 0]] == "It is too sure."


def test_rewards_that_prefer_the_rejected_candidate_are_named_but_controls_are_not(
    tmp_path: Path,
) -> None:
    assert content_of(write_page_of(tmp_path, ROWS))["pairs"]["against"] == [["number"], []]
    controlled = content_of(write_page_of(tmp_path, ROWS, controls=["number"]))
    assert controlled["pairs"]["against"] == [[], []]


def test_a_critique_that_repeats_the_response_is_an_echo(tmp_path: Path) -> None:
    text = "The press made books cheap and so more people learned to read them."
    rows = [Two((text, "Other words."), critiques=(text, "It does not name a single date."))]
    echo = content_of(write_page_of(tmp_path, rows))["ratings"]["j"]["echo"]
    assert echo == [1.0, 0.0]


@pytest.mark.parametrize("bound", ["pairs", "characters"])
def test_above_a_bound_the_page_holds_whole_prompts_drawn_by_seed_and_says_so(
    tmp_path: Path, bound: str
) -> None:
    rows = [Two((f"Answer {place}.", f"Other {place}.")) for place in range(40)]
    most = {"pairs": 10, "characters": 10 * (2 * len("Answer 10.") + 2 * len("Question 10?"))}
    bounds = BOUNDS | {bound: most[bound]}
    drawn = [
        content_of(write_page_of(tmp_path, rows, bounds=bounds, seed=seed)) for seed in (0, 0, 1)
    ]
    kept = [set(content["candidates"]["prompt_id"]) for content in drawn]
    assert kept[0] == kept[1] != kept[2]
    assert 9 <= len(kept[0]) <= 11
    content = drawn[0]
    assert len(content["pairs"]["chosen"]) == len(kept[0])
    assert len(content["candidates"]["candidate_id"]) == 2 * len(kept[0])
    assert content["sample"] == {"prompts": len(kept[0]), "of": 40, "pairs": 40}


def test_the_same_tables_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = (write_page_of(tmp_path / name, ROWS) for name in ("one", "other"))
    assert one.read_bytes() == other.read_bytes()


def test_only_the_pages_own_scripts_and_style_may_run_and_nothing_may_load(tmp_path: Path) -> None:
    rows = [Two(("<script>alert(1)</script>", "<style>*{display:none}</style>"))]
    text = write_page_of(tmp_path, rows).read_text(encoding="utf-8")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy
    directives = dict(part.split(" ", 1) for part in policy[1].split("; "))
    assert directives["default-src"] == "'none'"
    for name, element in (("script-src", "script"), ("style-src", "style")):
        found = re.findall(rf"<{element}>(.*?)</{element}>", text, flags=re.DOTALL)
        digests = (hashlib.sha256(each.encode()).digest() for each in found)
        hashes = [f"'sha256-{base64.b64encode(each).decode()}'" for each in digests]
        assert directives[name].split() == hashes
    assert "alert(1)" not in text
    assert not re.search(r"\bsrc=|<link|@import|url\(", text.split("<script")[0])


def test_the_library_in_the_page_comes_with_its_licence(tmp_path: Path) -> None:
    text = write_page_of(tmp_path, ROWS).read_text(encoding="utf-8")
    assert "BSD 3-Clause License" in text
    assert "Redistributions in binary form must reproduce" in text
