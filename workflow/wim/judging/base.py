"""The base of all judges: a name, an engine, templates, settings, and ratings of candidates."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from wim.engines.answers import Unanswered
from wim.engines.base import Completion, Engine
from wim.judging.phrases.match import KnownPhrases
from wim.provenance.digest import digest_of
from wim.settings.judging import JudgeSettings
from wim.tables.schemas import Candidate, Rating
from wim.templates import Templates


class Judge(ABC):
    """A named judge. `digest` is its identity: model, templates, settings and seed."""

    def __init__(
        self,
        name: str,
        engine: Engine,
        templates: Templates,
        settings: JudgeSettings,
        seed: int,
        model_digest: str,
    ) -> None:
        self.name = name
        self.engine = engine
        self.templates = templates
        self.settings = settings
        self.phrases = KnownPhrases(settings.nothing_missing, settings.phrases)
        self.seed = seed
        identity = {key: value for key, value in settings.identity().items() if key != "model"}
        self.digest = digest_of(
            {
                "model": model_digest,
                "templates": templates.digest,
                "settings": identity,
                "seed": seed,
            }
        )

    @abstractmethod
    def rate(self, candidates: Sequence[Candidate]) -> list[Rating]:
        """A rating for each candidate, in the candidates' order.

        Every candidate gets one; the status of a failed judgement says so.
        """


def reason_for_no_answer(answer: Completion) -> str:
    """Text for `raw` when the judge gave no answer: the reason, in parentheses."""
    if isinstance(answer, Unanswered):
        return f"(no answer: {answer.reason})"
    return (
        "(no answer: the prompt leaves no room in the judge's context, with "
        f"{answer.prompt_tokens} tokens)"
    )


def failed_to_answer(answer: Completion) -> bool:
    """Whether there is no answer: the prompt was too long, or the server did not answer."""
    return answer.finish_reason == "context" or isinstance(answer, Unanswered)
