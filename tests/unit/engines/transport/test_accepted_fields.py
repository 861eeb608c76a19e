"""Fields that a server refuses: which are left out, which get another name, and which stay."""

import logging

import pytest

from support.api_server import ApiServer, Fields, Reply, last_message, said
from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Request
from wim.engines.remote.engine import EndpointEngine
from wim.engines.transport.calls import Calls
from wim.settings.models import ApiSettings
from wim.settings.sampling import Sampling

DRAWN = Sampling(max_new_tokens=7, temperature=0.7, top_p=0.9)
QUESTIONS = [
    Request(str(number), ({"role": "user", "content": f"question {number}"},), number)
    for number in range(4)
]


def asked(server: ApiServer, **api: object) -> list[Completion]:
    settings = ApiSettings.model_validate({"url": server.url, "attempts": 2} | api)
    engine = EndpointEngine(Calls("far", server.url, settings, first_wait=0.001), "far-1", 4)
    return list(engine.generate(QUESTIONS, DRAWN))


def refusal(message: str, status: int = 400, **error: str | None) -> Reply:
    return Reply({"error": {"message": message, **error}}, status)


def refusing(name: str, reply: Reply, fields: Fields) -> Reply:
    """The reply where the request has a field, else an answer."""
    return reply if name in fields else said(f"answer to {last_message(fields)}")


# As servers say that they do not take a field: its name, and their words.
REFUSALS: list[tuple[str, Reply]] = [
    (
        "temperature",
        refusal(
            "Unsupported value: 'temperature' does not support 0.7 with this model. Only the "
            "default (1) value is supported.",
            param="temperature",
            code="unsupported_value",
        ),
    ),
    (
        "temperature",
        refusal(
            "Unsupported parameter: 'temperature' is not supported with this model.",
            param="temperature",
            code="unsupported_parameter",
        ),
    ),
    ("temperature", refusal("`temperature` is deprecated for this model.")),
    ("temperature", refusal("`temperature` may only be set to 1 when thinking is enabled.")),
    (
        "temperature",
        Reply(
            {
                "detail": [
                    {
                        "type": "extra_forbidden",
                        "loc": ["body", "temperature"],
                        "msg": "Extra inputs are not permitted",
                        "input": 0.7,
                    }
                ]
            },
            422,
        ),
    ),
    ("top_p", refusal("`temperature` and `top_p` cannot both be specified for this model.")),
    ("top_p", refusal("Unsupported parameter: 'top_p' is not supported with this model.")),
    ("seed", refusal("Unknown field: 'seed'")),
    ("seed", refusal("Unrecognized request argument supplied: seed")),
    ("seed", refusal("property 'seed' is unsupported", 422)),
]


@pytest.mark.parametrize(("name", "reply"), REFUSALS)
def test_a_field_that_the_server_does_not_take_is_left_out_and_that_is_said_once(
    name: str, reply: Reply, caplog
) -> None:
    with (
        ApiServer(lambda fields, _: refusing(name, reply, fields)) as server,
        caplog.at_level(logging.WARNING),
    ):
        found = asked(server)
    assert {answer.text for answer in found} == {
        f"answer to question {number}" for number in range(len(QUESTIONS))
    }
    (line,) = (each.getMessage() for each in caplog.records if "does not take" in each.getMessage())
    assert f"`{name}`" in line and "left out" in line
    others = {"temperature", "top_p", "seed", "max_tokens"} - {name}
    assert all(others <= fields.keys() for fields in server.asked)


@pytest.mark.parametrize(
    "message",
    [
        "temperature must be between 0 and 0.5",
        "'temperature' is not supported above 0.5: it must be less than or equal to 0.5",
        "Input 'temperature' should be less than 0.5",
        "The 'temperature' of 0.7 exceeds what is allowed.",
    ],
)
def test_a_value_that_is_out_of_range_is_the_users_to_correct(message) -> None:
    with ApiServer(lambda fields, _: refusing("temperature", refusal(message), fields)) as server:
        found = asked(server)
    assert all(isinstance(answer, Unanswered) for answer in found)
    assert all("temperature" in fields for fields in server.asked)


def test_max_tokens_has_another_name_where_the_server_says_so(caplog) -> None:
    reply = refusal("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    with ApiServer(lambda fields, _: refusing("max_tokens", reply, fields)) as server:
        asked(server)
    assert all("max_tokens" in each or each["max_completion_tokens"] == 7 for each in server.asked)
    assert server.asked[-1]["max_completion_tokens"] == 7
    assert "sent as `max_completion_tokens`" in caplog.text


def test_more_tokens_than_fit_do_not_give_max_tokens_another_name() -> None:
    too_large = refusal(
        "'max_tokens' or 'max_completion_tokens' is too large: 7. This model's maximum context "
        "length is 8 tokens and your request has 5 input tokens."
    )
    with ApiServer(lambda *_: too_large) as server:
        found = asked(server)
    assert all(isinstance(answer, Unanswered) for answer in found)
    assert all("max_completion_tokens" not in fields for fields in server.asked)


def test_several_fields_are_left_out_one_after_the_other() -> None:
    def answer(fields: Fields, _: int) -> Reply:
        for name in ("max_tokens", "top_p", "temperature", "seed"):
            if name in fields:
                return refusal(f"Unsupported parameter: '{name}'", param=name)
        return said("fine")

    with ApiServer(answer) as server:
        found = asked(server)
    assert [each.text for each in found] == ["fine"] * len(QUESTIONS)
    assert set(server.asked[-1]) == {"model", "messages", "max_completion_tokens"}


def test_a_field_of_the_models_own_settings_is_sent_whatever_the_server_says() -> None:
    reply = refusal("Unsupported parameter: 'temperature'", param="temperature")
    with ApiServer(lambda fields, _: refusing("temperature", reply, fields)) as server:
        found = asked(server, request={"temperature": 0.2})
    assert all(isinstance(answer, Unanswered) for answer in found)
    assert {fields["temperature"] for fields in server.asked} == {0.2}


def test_a_word_of_the_message_is_no_name_of_a_field() -> None:
    """A refused prompt may speak of seeds and of temperature."""
    with ApiServer(lambda *_: refusal("The seed of the unknown plant is not allowed")) as server:
        found = asked(server)
    assert all(isinstance(answer, Unanswered) for answer in found)
    assert all("seed" in fields for fields in server.asked)
