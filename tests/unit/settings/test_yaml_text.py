"""A key that is twice in a section is refused: YAML would keep the last alone, silently."""

import re
from pathlib import Path

import pytest

from support.workflow_runs import REPOSITORY
from wim.errors import UserError
from wim.settings.yaml_text import check_yaml_text


def problems(folder: Path, text: str) -> list[str]:
    (folder / "mine.yaml").write_text(text)
    try:
        check_yaml_text([folder / "mine.yaml"])
    except UserError as error:
        return [line.removeprefix(f"{folder}/mine.yaml:") for line in str(error).splitlines()]
    return []


def test_each_repeated_key_is_named_with_both_lines(tmp_path: Path) -> None:
    text = "models:\n  a: {source: 'path:x'}\nseed: 1\nmodels:\n  b: {dtype: auto, dtype: int8}\n"
    assert problems(tmp_path, text) == [
        "4: found the key 'models' twice in one section, first in line 1, and YAML keeps the last "
        "alone; write them as one.",
        "5: found the key 'dtype' twice in one section, first in line 5, and YAML keeps the last "
        "alone; write them as one.",
    ]
    assert len(problems(tmp_path, "grid: {main: [{a: 1, a: 2}]}")) == 1
    assert len(problems(tmp_path, '{"seed": 1, "seed": 2}')) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: {seed: 1}\nb: {seed: 1}\n",
        "a: &one {seed: 1}\nb: *one\nc: *one\n",
        "one: &one {a: 1}\ntwo: &two {b: 1}\nboth:\n  <<: *one\n  <<: *two\n",
        "a: 1\n'1': 2\n1: 3\n",
        '{\n\t"seed": 1\n}',
    ],
)
def test_the_same_key_elsewhere_is_no_repetition(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"seed: 1\nprompts:\n\tshards: 2\n", r"3: not YAML \(.*'\\t'.*\); indent with spaces\."),
        (b"seed: 1\nprompts: {shards: 2\n", r"3: not YAML \(.*\); close what is open, or put"),
        (b"seed: 1\nstore: a: b\n", r"2: not YAML \(mapping values.*\); .* put text in quotes\."),
        ("seed: 1\n# Größe\n".encode("latin-1"), r"2: not UTF-8: found the byte 0xf6; save it as"),
        ("seed: 1\n".encode("utf-16"), r"1: not UTF-8: found the byte 0xff; save it as UTF-8\."),
    ],
)
def test_what_is_no_yaml_is_named_with_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "mine.yaml").write_bytes(content)
    with pytest.raises(UserError, match=f"^{re.escape(str(tmp_path))}/mine.yaml:{said}"):
        check_yaml_text([tmp_path / "mine.yaml"])


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, r" its aliases \(\*name\) make \d{29,} values of it; write out"),
        (BOMB.replace("[", "{k: [").replace("]", "]}"), r" its aliases"),
        ("a: &one {b: *one}\n", " its aliases .* make values without end of it"),
    ],
)
def test_aliases_that_multiply_or_lead_in_circles_are_refused(
    tmp_path: Path, text: str, words: str
) -> None:
    (problem,) = problems(tmp_path, text)
    assert re.match(words, problem), problem


def test_the_embedded_configuration_and_the_presets_have_every_key_once() -> None:
    check_yaml_text(sorted((REPOSITORY / "config").rglob("*.yaml")))
