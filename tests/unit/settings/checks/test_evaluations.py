"""What an evaluation names or asks for in vain is told with the rest of the configuration."""

import pytest

from wim.errors import UserError
from wim.settings.load import load_config

BASIS = {
    "models": {"teacher": {"source": "path:teacher"}, "judge": {"source": "path:judge"}},
    "judges": {"pairs": {"model": "judge", "method": "pairwise"}},
}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"sampling": {"temprature": 1}}, "evaluations.x.sampling.temprature"),
        ({"sampling": {"max_new_tokens": -3}}, "evaluations.x.sampling.max_new_tokens"),
        ({"answers": {"others": "others.json"}}, "'others' is not among the speakers"),
        (
            {"speakers": ["teacher"], "answers": {"teacher": "others.json"}},
            "'teacher' is also the name of a model",
        ),
        ({"speakers": ["teacher"], "kl": True}, "evaluations.x.kl: no checkpoint"),
        ({"speakers": ["techer"]}, "did you mean 'teacher'"),
        ({"speakers": ["teacher", "teacher"]}, "speakers has teacher more than once"),
        (
            {"kind": "reward", "judge": None, "difficulties": "d.csv", "instructions": "i.json"},
            "difficulties, instructions and gamed belong to the kind win_rate",
        ),
    ],
)
def test_it_is_one_message(settings: dict[str, object], told: str) -> None:
    evaluation = {"judge": "pairs", "prompts": {"files": ["set.jsonl"]}, **settings}
    with pytest.raises(UserError) as refused:
        load_config({**BASIS, "evaluations": {"x": evaluation}})
    assert told in str(refused.value)


@pytest.mark.parametrize("name", ["gate", "study", "heads", "judge_tuning"])
def test_no_evaluation_takes_the_name_of_another_report(name: str) -> None:
    evaluation = {"judge": "pairs", "prompts": {"files": ["set.jsonl"]}, "speakers": ["teacher"]}
    with pytest.raises(UserError) as refused:
        load_config({**BASIS, "evaluations": {name: evaluation}})
    assert f"evaluations.{name}: the workflow itself uses this name" in str(refused.value)
