"""Rewards while a model trains: those of the stages, by the arm's own judge and encoder."""

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from support.builders import candidate, rating
from wim.embedding.encoder import Encoded
from wim.settings.rewards import RewardSettings
from wim.training.online_dpo.rewards import Rewards

CRITIQUES = {"a": "It gives no date.", "b": "🙂", "c": "It gives no date.", "d": None}
RESPONSES = {"a": "Read.", "b": "Read.", "c": "ไม่รู้", "d": "ไม่รู้"}


def encode(texts: Sequence[str]) -> Encoded:
    """One vector for all, as an encoder has for texts that it does not know."""
    vectors = np.tile(np.array([[1.0, 0.0]], np.float32), (len(texts), 1))
    return Encoded(vectors, [False] * len(texts), [float(not text.isascii()) for text in texts])


@pytest.mark.parametrize(
    ("settings", "rewarded"),
    [({"zeta": 1.0}, "ad"), ({"zeta": 0.0}, "abcd"), ({"zeta": 1.0, "kind": "negated"}, "ad")],
)
def test_a_text_that_is_wholly_unknown_to_the_encoder_gives_no_reward(settings, rewarded) -> None:
    ratings = [
        rating(name, wim=wim, status="ok" if wim else "nothing_missing")
        for name, wim in CRITIQUES.items()
    ]
    judge = SimpleNamespace(rate=lambda _: ratings)
    reward = RewardSettings.model_validate({"judge": "j", **settings})
    encoder = SimpleNamespace(encode=encode)
    rewards = Rewards(judge, encoder, reward, seed=0, unanswered={})  # type: ignore[arg-type]
    candidates = [candidate(name, completion=text) for name, text in RESPONSES.items()]
    assert "".join(sorted(rewards.of(candidates))) == rewarded
