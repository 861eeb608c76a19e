"""The page in Chromium, opened from disk without a network."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.browser import Browser, browser_is_there, chromium
from support.builders import user
from support.page_tables import BOUNDS, Two, write_page_of
from wim.tables.schemas import Message

pytestmark = pytest.mark.skipif(
    not browser_is_there(), reason="chromium and chromedriver are not installed"
)
HOSTILE = {
    "script": "<script>document.body.dataset.attacked = 1</script>",
    "handler": '<img src=x onerror="document.body.dataset.attacked = 2">',
    "link": '<a href="javascript:document.body.dataset.attacked=3">Press me</a>',
    "style": "</style><style>body { display: none }</style>",
    "end of the rows": "</script><script>document.body.dataset.attacked = 4</script>",
    "request": '<iframe src="http://192.0.2.1/"></iframe><link rel=stylesheet href=//192.0.2.1/>',
    "right to left": "safe \u202egnihton si siht\u202c \u2066x\u2069 \u200f end",
    "controls": "null \u0000 bell \u0007 escape \u001b[31m end",
    "template": "{{ 7 * 7 }} ${7 * 7} {% raw %}",
    "long": "word " * 20_000,
    "one word": "x" * 100_000,
}


@pytest.fixture(scope="module")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads: Path) -> Iterator[Browser]:
    with chromium(downloads) as opened:
        opened.resize(1280, 800)
        yield opened


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty pairs, every tenth held out, and four candidates without a reward."""
    rows = [
        Two(
            (f"The answer {n} is amber. " + "More words. " * (n % 7), f"The answer {n} is blue."),
            rewards=(1.0 + n / 100, 0.5),
            numbers=(0.0, 1.0) if n % 6 == 0 else (1.0, 0.0),
            split="eval" if n % 10 == 0 else "train",
            finish=("length", "stop") if n == 7 else ("stop", "stop"),
            critiques=("It lacks dates.", f"Nobody is named in answer {n}."),
        )
        for n in range(60)
    ]
    failed = Two(("Broken.", "Broken too."), rewards=(None, None), numbers=(None, None))
    rows += [failed, Two(("Одно слово.", "Другое слово."), rewards=(None, 0.1))]
    return write_page_of(tmp_path_factory.mktemp("page"), rows)


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    """The page, which says nothing on the console until the test is over."""
    browser.console()
    browser.open(page)
    browser.run("localStorage.clear()")
    yield browser
    assert browser.console() == []


def shown(browser: Browser) -> int:
    """How many rows the page says are shown."""
    return int(browser.text("#count").split(" of ")[0].replace(",", ""))


def look_for(browser: Browser, text: str) -> None:
    """Search, and wait until the page has."""
    browser.write("#search", text)
    browser.wait(f"return query === {json.dumps(text)}")


def wait_for_rows(browser: Browser, count: int) -> None:
    browser.wait(
        f"return document.getElementById('count').innerText.split(' of ')[0] === '{count}'"
    )


def test_a_pair_has_its_conversation_both_responses_rewards_and_the_judges_words(
    opened: Browser, page: Path
) -> None:
    opened.open(page, "#pairs=wim.1.p6a.p6b")
    detail = opened.text("#detail")
    for part in ("Question 6?", "The answer 6 is amber.", "The answer 6 is blue.", "1.060"):
        assert part in detail
    assert "Nobody is named in answer 6." in detail
    assert "rating 7" in detail
    assert opened.run(
        "return [...document.querySelectorAll('.sides mark')].map(m => m.textContent)[0]"
    ) == ("amber")
    assert opened.text("tr.against th") == "number"
    raw = "return document.querySelector('.judgement details .text').textContent"
    assert opened.run(raw) == "It lacks dates. [[7]]"


def test_words_and_phrases_are_found_in_conversations_responses_and_critiques(
    opened: Browser,
) -> None:
    for query, count in (("question 17?", 1), ("AMBER", 60), ('"answer 3 is blue"', 1)):
        look_for(opened, query)
        assert shown(opened) == count
    look_for(opened, "nobody 41")
    assert shown(opened) == 1
    assert "answer 41" in opened.text("#detail")
    look_for(opened, "nowhere")
    assert shown(opened) == 0
    assert "No row passes all filters." in opened.text("#detail")
    opened.click("#clear")
    wait_for_rows(opened, 60)


def test_every_filter_keeps_the_rows_that_its_chart_counts(opened: Browser) -> None:
    opened.click('[data-facet="split"] [data-value="eval"]')
    assert shown(opened) == 6
    opened.click('[data-facet="split"] [data-value="eval"]')
    opened.click('[data-facet="cut"] [data-value="chosen"]')
    assert shown(opened) == 1
    assert "cut at its longest" in opened.text(".side.chosen")
    opened.click("#clear")
    opened.click('[data-facet="against"] [data-value="number"]')
    assert shown(opened) == 10
    opened.click("#clear")
    for key in ("margin", "score", "ratio", "length"):
        bars = f'[data-facet="{key}"] .bin'
        label = opened.run(f"return document.querySelector('{bars}').ariaLabel")
        opened.click(bars)
        assert shown(opened) == int(label.rsplit(": ", 1)[1]) > 0
        opened.click("#clear")
    opened.write('[data-facet="margin"] [data-side="low"]', "1.0")
    opened.press("enter")
    wait_for_rows(opened, 10)
    opened.write('[data-facet="margin"] [data-side="high"]', "1.04")
    opened.press("enter")
    wait_for_rows(opened, 5)


def test_what_is_suspicious_comes_first(opened: Browser) -> None:
    order = "return matching.map(row => row.suspicion)"
    found = opened.run(order)
    assert found == sorted(found, reverse=True)
    assert found[0] > found[-1]
    for sort, rows in (
        ("widest margin", "row.margin"),
        ("rewards disagree", "row.against.length"),
        ("longest against shortest", "Math.abs(row.ratio)"),
    ):
        opened.run(
            "const s = document.getElementById('sort'); s.value = arguments[0];"
            "s.dispatchEvent(new Event('change'))",
            sort,
        )
        values = opened.run(f"return matching.map(row => {rows})")
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1]


def test_candidates_without_a_reward_are_listed_with_their_reason(opened: Browser) -> None:
    opened.press("2")
    assert shown(opened) == 3
    assert "wim: truncated" in opened.text(".reasons")
    opened.click('[data-facet="script"] [data-value="Cyrillic"]')
    assert shown(opened) == 1
    assert "Одно слово." in opened.text("#detail")


def test_the_keyboard_alone_goes_through_the_rows(opened: Browser) -> None:
    addresses = []
    for key in ("j", "j", "down", "k"):
        opened.press(key)
        addresses.append(opened.run("return location.hash"))
    assert addresses[3] == addresses[1]
    assert len(set(addresses)) == 3
    opened.press("/")
    assert opened.run("return document.activeElement.id") == "search"
    opened.press(*"blue", "escape", "j")
    opened.wait("return query === 'blue'")
    assert opened.run("return document.activeElement === document.body")
    opened.press("?")
    assert "next row" in opened.text("#keys")
    opened.press("escape")


def test_a_link_opens_its_row_whatever_the_filters_are(opened: Browser, page: Path) -> None:
    opened.click('[data-facet="split"] [data-value="eval"]')
    opened.run("location.hash = '#pairs=wim.1.p7a.p7b'")
    opened.wait("return document.getElementById('detail').innerText.includes('The answer 7 is')")
    assert opened.text("#list [aria-current] .line") == "Question 7?"
    opened.open(page, "#candidates=p60a")
    assert "Broken." in opened.text("#detail")
    opened.open(page, "#pairs=wim.1.gone.gone")
    assert "is not on this page" in opened.text("#notice")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_systems_colours_and_can_be_told_otherwise(
    opened: Browser, scheme: str
) -> None:
    def ground() -> int:
        colour = opened.run("return getComputedStyle(document.body).backgroundColor")
        return int(colour.split("(")[1].split(",")[0])

    opened.prefer(scheme)
    assert (ground() > 128) == (scheme == "light")
    opened.click("#theme")
    assert ground() > 128
    opened.click("#theme")
    assert ground() < 128


def test_on_a_phone_the_list_and_the_row_take_turns_and_nothing_is_wider_than_the_screen(
    opened: Browser, page: Path
) -> None:
    opened.resize(390, 844)
    opened.open(page)
    visible = "return document.querySelector(arguments[0]).checkVisibility()"
    assert opened.run(visible, "#list") and not opened.run(visible, "#detail")
    opened.click("#list li:nth-child(2) a")
    assert opened.run(visible, "#detail") and not opened.run(visible, "#list")
    assert opened.run("return document.documentElement.scrollWidth") <= 390
    assert opened.run("return document.getElementById('detail').scrollWidth") <= 390
    left = "return [...document.querySelectorAll('.side')].map(e => e.getBoundingClientRect().left)"
    assert len(set(opened.run(left))) == 1
    opened.click(".back")
    assert opened.run(visible, "#list")
    opened.resize(1280, 800)


def test_a_screen_reader_is_told_names_places_and_states(opened: Browser) -> None:
    tree = opened.command("Accessibility.getFullAXTree", {})["nodes"]
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored")
    ]
    for role in ("button", "textbox", "searchbox", "combobox", "spinbutton", "link", "region"):
        assert all(name for kind, name in named if kind == role), role
    assert ("region", "Chosen") in named and ("region", "Rejected") in named
    item = "return document.querySelector('#list li').getAttribute('aria-setsize')"
    assert opened.run(item) == "60"


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_text_is_shown_as_text(browser: Browser, tmp_path: Path, kind: str) -> None:
    text = HOSTILE[kind]
    rows = [Two((text, f"{text} other"), context=user(text), critiques=(text, text))]
    page = write_page_of(tmp_path, rows)
    browser.console()
    browser.open(page)
    wanted = "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)"
    assert browser.run(wanted, ".side > .text") == [text, f"{text} other"]
    assert browser.run(wanted, ".message .text") == [text]
    assert set(browser.run(wanted, ".judgement > .text")) == {text}
    assert browser.run("return document.body.dataset.attacked ?? null") is None
    assert (
        browser.count("#detail :is(script, style, img, iframe, link, a[href^='javascript'])") == 0
    )
    assert browser.run("return document.getElementById('detail').checkVisibility()")
    assert browser.run("return performance.getEntriesByType('resource').length") == 0
    assert browser.run("return document.getElementById('detail').scrollWidth") <= 720
    assert browser.console() == []


def test_marks_of_direction_and_controls_are_named_and_turn_nothing_round(
    browser: Browser, tmp_path: Path
) -> None:
    rows = [Two((HOSTILE["right to left"], HOSTILE["controls"]))]
    browser.open(write_page_of(tmp_path, rows))
    names = browser.run("return [...document.querySelectorAll('.unseen')].map(e => e.dataset.code)")
    assert names == ["U+202E", "U+202C", "U+2066", "U+2069", "U+200F", "U+0000", "U+0007", "U+001B"]
    place = """
        const text = [...document.querySelectorAll('.side.chosen > .text')][0];
        const walker = document.createTreeWalker(text, NodeFilter.SHOW_TEXT);
        while (walker.nextNode()) {
          const at = walker.currentNode.data.indexOf('gnihton');
          if (at < 0) continue;
          return ['gnihton', 'siht'].map((word) => {
            const range = document.createRange();
            const from = walker.currentNode.data.indexOf(word);
            range.setStart(walker.currentNode, from);
            range.setEnd(walker.currentNode, from + 1);
            return range.getBoundingClientRect().left;
          });
        }"""
    first, second = browser.run(place)
    assert first < second


def test_the_policy_stops_what_a_script_would_load_or_write(
    browser: Browser, tmp_path: Path
) -> None:
    browser.open(write_page_of(tmp_path, [Two(("One.", "Two."))]))
    written = """
        try { document.body.innerHTML = '<b>x</b>'; return 'wrote'; }
        catch (error) { return error.name; }"""
    assert browser.run(written) == "TypeError"
    request = "const done = arguments[0]; fetch('data:,x').then(() => done('loaded'), () => done('refused'))"
    assert browser.call("/execute/async", {"script": request, "args": []}) == "refused"
    browser.console()


def test_an_evaluation_has_its_wins_and_losses(browser: Browser, tmp_path: Path) -> None:
    import pyarrow as pa

    from support.builders import candidate
    from wim.tables.files import as_arrow, write_table
    from wim.tables.schemas import DIALOGUES, REWARDS
    from wim.viewing.page import page as write
    from wim.viewing.sources import PageFiles

    tables, speakers = PageFiles(), ("base", "wim")
    values = {"base": (0.0, 1.0, 1.0), "wim": (1.0, 0.0, None)}
    for speaker in speakers:
        policy = f"held@{speaker}"
        rows = [
            candidate(f"{speaker}{n}", prompt_id=f"q{n}", completion=f"{speaker} says {n}.")
            for n in range(3)
        ]
        dialogues = str(tmp_path / f"dialogues/{policy}/000.parquet")
        write_table(dialogues, DIALOGUES, as_arrow(DIALOGUES, rows))
        scored = [
            {
                **{"candidate_id": f"{speaker}{n}", "prompt_id": f"q{n}", "turn": 1, "judge": "j"},
                **{"status": "ok" if value is not None else "echo", "reward": value},
                **{"cosine": None, "rating_scaled": None},
            }
            for n, value in enumerate(values[speaker])
        ]
        rewards = str(tmp_path / f"rewards/{policy}/wim.parquet")
        write_table(rewards, REWARDS, pa.Table.from_pylist(scored, schema=REWARDS.schema))
        tables.dialogues.append(dialogues)
        tables.rewards.append(rewards)
    evaluation = {"name": "held", "speakers": [*speakers], "by": "wim", "pairs": False}
    output = tmp_path / "page.html"
    write(tables, [], [evaluation], [], BOUNDS, 0, output)
    browser.open(output)
    verdicts = browser.run("return matching.map(row => [row.verdict, row.cause])")
    assert verdicts == [["loss", None], ["win", None], ["failed", "echo"]]
    assert "wim says 1." in browser.text("#detail")
    browser.open(output, "#evaluations=held.wim.q0")
    assert "Answer 2 of 3: held, wim against base" in browser.text("#detail")


def test_ten_thousand_pairs_open_in_three_seconds_and_scroll(
    browser: Browser, tmp_path: Path
) -> None:
    words = [
        "the",
        "press",
        "made",
        "books",
        "cheap",
        "and",
        "more",
        "people",
        "learned",
        "to",
        "read",
        "new",
        "ideas",
        "spread",
    ]
    texts = [" ".join(words[(n + k) % len(words)] for k in range(60)) for n in range(len(words))]
    rows = [
        Two((f"{n} {texts[n % 14]}", f"{texts[n % 13]} {n}"), rewards=(n / 1e4, -1.0))
        for n in range(10_000)
    ]
    page = write_page_of(tmp_path, rows)
    started = time.monotonic()
    browser.open(page)
    assert time.monotonic() - started < 3
    assert browser.text("#count") == "10,000"
    assert browser.count("#list li") < 60
    jump = "document.getElementById('scroll').scrollTop = 64 * 9990; return true"
    assert browser.run(jump)
    browser.wait("return document.querySelector('#list li:last-child').ariaPosInSet === '10000'")
    started = time.monotonic()
    look_for(browser, f'"9876 {words[9876 % 14]}"')
    assert browser.text("#count").startswith("1 of")
    assert time.monotonic() - started < 3


def saved(file: Path) -> Path:
    """A file that the page saves, once all of it is there: Chromium makes it empty and fills it later."""
    deadline = time.monotonic() + 60
    while not (file.exists() and file.read_bytes().endswith(b"]\n")):
        assert time.monotonic() < deadline, f"{file} was not saved: {sorted(file.parent.iterdir())}"
        time.sleep(0.05)
    return file


def begin_labelling(browser: Browser, name: str) -> None:
    browser.press("4")
    browser.write("#annotator", name)
    browser.click("#begin")


def test_labels_by_clicking_are_saved_as_a_file(opened: Browser, downloads: Path) -> None:
    begin_labelling(opened, "Ada L.")
    assert opened.count(".judgement") == opened.count("table") == 0
    assert "margin" not in opened.text("#detail")
    left = opened.run("return document.querySelector('.side .text').textContent")
    opened.press("left")
    assert opened.count("table") == 1
    assert "The reward wim prefers the" in opened.text(".reveal")
    opened.write("#why", "It is clearer.")
    opened.click("#next")
    opened.click("#label-tie")
    opened.click("#next")
    opened.click("#label-skip")
    assert "2 labelled (1 tie), 1 skipped" in opened.text("#progress")
    opened.click("#save")
    file = saved(downloads / "labels-Ada_L..json")
    first, second = json.loads(file.read_text(encoding="utf-8"))
    assert first["output_1"] == left
    assert [first["label"], second["label"]] == [1, "tie"]
    assert first["why"] == "It is clearer." and first["annotator"] == "Ada L."
    assert first["subset"] == "wim" and first["input"].startswith("Question ")


def test_labels_are_kept_in_the_browser_and_a_saved_file_is_taken_in_again(
    opened: Browser, page: Path, downloads: Path
) -> None:
    begin_labelling(opened, "Grace")
    opened.press("right", "j", "t", "j", "left")
    opened.click("#save")
    file = saved(downloads / "labels-Grace.json")
    before = json.loads(file.read_text(encoding="utf-8"))
    opened.open(page, "#label")
    opened.write("#annotator", "Grace")
    opened.click("#begin")
    assert "3 labelled (1 tie)" in opened.text("#progress")
    assert opened.text("#detail h2") == "Pair 4 of 60"
    opened.run("localStorage.clear(); annotator = ''; drawLabelling()")
    opened.write("#annotator", "Grace")
    opened.click("#begin")
    assert "0 labelled" in opened.text("#progress")
    found = opened.call("/element", {"using": "css selector", "value": "#open"})
    opened.call(f"/element/{next(iter(found.values()))}/value", {"text": str(file)})
    opened.wait("return document.getElementById('progress').innerText.startsWith('3 labelled')")
    assert opened.run("return labelledPairs(queue)") == before
    opened.run("unsaved = 0")


def test_the_sides_are_drawn_at_random_and_by_annotator(opened: Browser) -> None:
    chosen_left = """
        annotator = arguments[0];
        return views.pairs.rows.map(row => sidesOf(row)[0] === row.chosen);"""
    ada, bob = (opened.run(chosen_left, name) for name in ("Ada", "Bob"))
    for sides in (ada, bob):
        assert 15 < sum(sides) < 45
    assert 15 < sum(one != other for one, other in zip(ada, bob, strict=True)) < 45
    opened.run("annotator = ''")


TALK: list[Message] = [
    {"role": "user", "content": "Name a river."},
    {"role": "assistant", "content": "The Rhine."},
    {"role": "user", "content": "And a lake?"},
]


def test_the_gate_takes_the_labels_of_two_annotators_with_ties_and_conversations(
    browser: Browser, tmp_path: Path, downloads: Path
) -> None:
    labels = pytest.importorskip("wim.evaluation.labels.read")
    from wim.evaluation.judged_pairs import of_scores
    from wim.evaluation.pair_statistics import pair_statistics

    rows = [Two((f"Good {n}.", f"Bad {n}."), context=TALK if n == 0 else None) for n in range(4)]
    page = write_page_of(tmp_path, rows)
    # Ada prefers the chosen answer but in 3, Bob ties 1 and agrees else.
    verdicts = {
        "Ada": {0: "chosen", 1: "chosen", 2: "chosen", 3: "rejected"},
        "Bob": {0: "chosen", 1: "tie", 2: "chosen", 3: "rejected"},
    }
    files = []
    for name, of in verdicts.items():
        browser.open(page)
        browser.run("localStorage.clear()")
        begin_labelling(browser, name)
        for _ in rows:
            left, _ = browser.run(
                "return [...document.querySelectorAll('.side > .text')].map(e => e.textContent)"
            )
            verdict = of[int(left.split()[1].strip("."))]
            sides = {"chosen": "left" if left.startswith("Good") else "right", "tie": "tie"}
            sides["rejected"] = {"left": "right", "right": "left"}[sides["chosen"]]
            browser.click(f"#label-{sides[verdict]}")
            browser.press("j")
        browser.click("#save")
        files.append(saved(downloads / f"labels-{name}.json"))
    pairs = labels.read_labels(files)
    assert len(pairs) == 4
    assert {len(pair.votes) for pair in pairs} == {2}
    (talk,) = (pair for pair in pairs if len(pair.context) == 3)
    assert list(talk.context) == TALK
    better = {
        pair.pair_id: {"a": pair.response_a, "b": pair.response_b}.get(pair.better)
        for pair in pairs
    }
    assert sorted(str(text) for text in better.values()) == ["Bad 3.", "Good 0.", "Good 2.", "None"]
    # The reward prefers every good answer: right on 0 and 2, wrong on 3; 1 has no majority.
    judged = [
        of_scores(
            pair.pair_id,
            (float(pair.response_a.startswith("Good")), float(pair.response_b.startswith("Good"))),
        )
        for pair in pairs
    ]
    accuracy = pair_statistics(pairs, judged).accuracy
    assert (accuracy.n, accuracy.value) == (3, pytest.approx(2 / 3))
