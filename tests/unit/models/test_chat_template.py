"""Chat templates of staged models: given ones, and clocks that stand still."""

import json
import shutil
import time
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from support.builders import user
from wim.errors import UserError
from wim.models import trial_rendering
from wim.models.chat_template import DIRECTIVES, NAME, PADDED, write_chat_template
from wim.models.manifest import read_manifest
from wim.models.stage import stage_model
from wim.settings.models import ModelSource

DAY = date(2031, 4, 7)
# As Llama 3.1 asks for the date, as SmolLM3 does, and through a variable.
ASKS = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}'
    '{%- set date_string = "26 Jul 2024" %}{%- endif %}{%- endif %}\nToday: {{ date_string }}\n',
    '{%- set today = strftime_now("%d %B %Y") -%}{{ today + "\\n" }}',
    '{%- set form = "%Y-%m-%d" %}{{ "Now " ~ strftime_now(form) ~ " 100%% " }}',
)
TURNS = "{% for each in messages %}[{{ each.role }}] {{ each.content }}{% endfor %}"


def rendered(template: str) -> str:
    from transformers.utils.chat_template_utils import render_jinja_template

    found, _ = render_jinja_template([user("Why?")], chat_template=template)
    return str(found[0])


@pytest.mark.parametrize("asks", ASKS)
def test_a_clock_stands_still_and_nothing_else_changes(asks: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(asks + TURNS)
    write_chat_template(tmp_path, None, date.today())
    assert rendered((tmp_path / NAME).read_text()) == rendered(asks + TURNS)
    write_chat_template(tmp_path, None, date.today())
    (tmp_path / NAME).write_text(asks + TURNS)
    write_chat_template(tmp_path, None, DAY)
    said = rendered((tmp_path / NAME).read_text())
    assert "07 Apr 2031" in said or "07 April 2031" in said or "2031-04-07" in said


def test_every_directive_is_that_of_the_day(tmp_path: Path) -> None:
    forms = [f"%{each}" for each in DIRECTIVES] + [f"%-{each}" for each in PADDED]
    calls = [f"{{{{ strftime_now({form!r}) }}}}" for form in forms]
    (tmp_path / NAME).write_text("|".join(calls))
    write_chat_template(tmp_path, None, DAY)
    wanted = [DAY.strftime(form) for form in forms]
    assert rendered((tmp_path / NAME).read_text()).split("|") == wanted


def test_a_template_without_a_clock_stays_where_it_is(tmp_path: Path) -> None:
    config = tmp_path / "tokenizer_config.json"
    config.write_text(json.dumps({"chat_template": TURNS}))
    write_chat_template(tmp_path, None, DAY)
    assert not (tmp_path / NAME).exists()
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": ASKS[1]}]
    config.write_text(json.dumps({"chat_template": named}))
    write_chat_template(tmp_path, None, DAY)
    assert rendered((tmp_path / NAME).read_text()) == "07 April 2031\n"


def test_a_processors_template_is_the_tokenizers_where_that_has_none(tmp_path: Path) -> None:
    (tmp_path / "chat_template.json").write_text(json.dumps({"chat_template": TURNS}))
    write_chat_template(tmp_path, None, DAY)
    assert (tmp_path / NAME).read_text() == TURNS


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    """A base model: one without a chat template."""
    folder = tmp_path / "base"
    shutil.copytree(tiny_model, folder)
    (folder / NAME).unlink()
    return folder


def test_a_base_model_is_given_a_template_which_is_part_of_it(base: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    (tmp_path / "own.jinja").write_text(TURNS)
    source = {"source": f"path:{base}"}
    given = {**source, "chat_template": str(tmp_path / "own.jinja")}
    for name, settings in (("plain", source), ("given", given)):
        stage_model(ModelSource.model_validate(settings), tmp_path / name)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "given")
    text = tokenizer.apply_chat_template(user("Why?"), tokenize=False)
    assert text == "[user] Why?"
    plain, found = (read_manifest(tmp_path / name / "manifest.json") for name in ("plain", "given"))
    assert set(found.files) - set(plain.files) == {NAME}
    assert found.digest != plain.digest


def test_what_is_no_template_is_refused(base: Path, tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{% for each in messages %}\n{{ each.content }\n")
    for name, words in (("own", r"own.jinja, line 2: not a Jinja"), ("none", "not a template")):
        settings = {"source": f"path:{base}", "chat_template": str(tmp_path / f"{name}.jinja")}
        with pytest.raises(UserError, match=f"models: chat_template: .*{words}"):
            stage_model(ModelSource.model_validate(settings), tmp_path / "refused")


LOOPS = "{% for a in range(99999) %}" * 4 + "{% endfor %}" * 4


@pytest.mark.parametrize(
    "template",
    [
        "{% for i in range(10**12) %}{{ i }}{% endfor %}",
        LOOPS,
        "{{ 10 ** (10 ** 9) }}",
        "{{ 'a' * 10 ** 11 }}",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
        "{% if messages | length > 1 %}" + LOOPS + "{% endif %}",
    ],
)
@pytest.mark.parametrize("given", [False, True])
def test_a_template_without_end_is_refused_within_seconds(
    tmp_path: Path, template: str, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_rendering, "SECONDS", 1)
    place = tmp_path / "own.jinja" if given else tmp_path / NAME
    place.write_text(template)
    named = f"chat_template: {place}" if given else "hf:a/b@main: its chat template"
    start = time.monotonic()
    with pytest.raises(UserError, match=f"{named}: rendering one question takes more"):
        write_chat_template(tmp_path, place if given else None, DAY, "hf:a/b@main")
    assert time.monotonic() - start < 60


def test_a_template_that_refuses_a_question_is_staged(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("{{ raise_exception('no') }}")
    write_chat_template(tmp_path, None, DAY)


def test_settings_at_their_defaults_stage_as_before() -> None:
    source = ModelSource(source="path:x")
    assert set(source.staging) == {"source", "sha256", "dtype"}
    other = ModelSource.model_validate(
        {"source": "path:x", "date": DAY, "chat_template": "a.jinja"}
    )
    assert other.staging["date"] == "2031-04-07" and other.places["chat_template"] == "a.jinja"
    with pytest.raises(ValidationError, match="expected a date, as 2025-01-31"):
        ModelSource.model_validate({"source": "path:x", "date": "today"})
