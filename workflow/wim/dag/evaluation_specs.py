"""What decides the outputs of evaluations: the param `spec` of their rules; see wim.dag.specs."""

from dataclasses import dataclass

from wim.dag.evaluations import Evaluations
from wim.dag.harness import Harness
from wim.dag.inputs import Inputs, Wildcards
from wim.dag.specs import spec
from wim.settings.config import Config
from wim.settings.evaluated import model_of, speakers_of, temperatures_of
from wim.settings.frontier import Curve, curves_of


@dataclass(frozen=True)
class EvaluationSpecs:
    """The specs of the stages of evaluations by a configuration, as functions of their wildcards."""

    inputs: Inputs

    @property
    def config(self) -> Config:
        """The configuration."""
        return self.inputs.config

    def evaluation_prompts(self, wildcards: Wildcards) -> str:
        """Which prompts an evaluation takes: held-out ones, or those of files."""
        name = wildcards.evaluation
        settings = self.config.evaluations[name]
        prompts = settings.own_prompts(name)
        categories = {"reference_categories": sorted(settings.reference_categories)}
        return spec(
            prompts=None if prompts is None else prompts.identity(),
            **(categories if settings.kind == "mt_bench" else {}),
        )

    def leaks(self, wildcards: Wildcards) -> str:
        """Nothing: its inputs decide."""
        return spec()

    def trackers(self, wildcards: Wildcards) -> str:
        """Where the figures are written."""
        return spec(trackers=self.config.tracking)

    def written_answers(self, wildcards: Wildcards) -> str:
        """The system message that precedes the prompts, and who answers."""
        questions = temperatures_of(self.config, wildcards.policy) is not None
        return spec(
            **self.config.policy_dialogues(wildcards.policy).system_message,
            speaker=wildcards.policy.partition("@")[2],
            **({"questions": True} if questions else {}),
        )

    def kl(self, wildcards: Wildcards) -> str:
        """What decides the tokens of answers and the models' distributions."""
        model = self.config.source_of(self.inputs.speakers(wildcards.policy)[0])
        reasoning = self.config.dialogues.reasoning
        return spec(answering=model.answering, reasoning=reasoning, seed=self.config.seed)

    def evaluation(self, wildcards: Wildcards) -> str:
        """What is compared, and how."""
        return self.comparison(wildcards.evaluation, speakers_of(self.config, wildcards.evaluation))

    def comparison(self, name: str, speakers: list[str]) -> str:
        """The same of some speakers, the reference first."""
        settings = self.config.evaluations[name]
        keys = {"kind", "reference", "judge", "reward", "leaks", "kl"}
        measured = self.config.gate.form if Evaluations(self.inputs).labelled_of(name) else {}
        of_kind = {"mt_bench": {"mode", "parse"}, "frontier": {"kl_limit"}}
        curves = {"curves": self.curves(name, speakers)} if settings.kind == "frontier" else {}
        return spec(
            name=name,
            **measured,
            **curves,
            settings=settings.model_dump(
                mode="json", include=keys | of_kind.get(settings.kind, set())
            ),
            speakers=speakers,
            rewards=Evaluations(self.inputs).rewards_of(name),
            seed=self.config.seed,
        )

    def curves(self, name: str, speakers: list[str]) -> dict[str, Curve]:
        """The curve and the beta of those of some speakers that are trained."""
        known = curves_of(self.config, name)
        return {speaker: known[speaker] for speaker in speakers if speaker in known}

    def evaluated_card(self, wildcards: Wildcards) -> str:
        """The arm, by the name that it has as a speaker."""
        return spec(arm=wildcards.arm)

    def harness_tasks(self, wildcards: Wildcards) -> str:
        """The tasks of an evaluation by the harness."""
        return spec(tasks=Harness(self.inputs).tasks(wildcards.evaluation))

    def harness(self, wildcards: Wildcards) -> str:
        """How a model is measured by the harness, and in which precision it is opened."""
        settings = self.config.evaluations[wildcards.evaluation]
        model = self.config.source_of(model_of(self.config, wildcards.speaker))
        thinking = {} if model.thinking is None else {"thinking": model.thinking != "off"}
        measuring = {
            "tasks": Harness(self.inputs).tasks(wildcards.evaluation),
            **settings.model_dump(include={"num_fewshot", "limit", "chat_template", "system"}),
            "dtype": model.dtype,
            **(thinking if settings.chat_template else {}),
        }
        return spec(measuring=measuring)

    def harness_evaluation(self, wildcards: Wildcards) -> str:
        """Who is compared, in which tasks."""
        name = wildcards.evaluation
        settings = self.config.evaluations[name]
        return spec(
            name=name,
            settings=settings.model_dump(mode="json", include={"num_fewshot", "limit"}),
            speakers=speakers_of(self.config, name),
            seed=self.config.seed,
        )

    def verdict(self, wildcards: Wildcards) -> str:
        """The arms, by the names that they have as speakers."""
        return spec(arms=list(self.config.arms))
