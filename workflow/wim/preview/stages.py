"""A few prompts through actor, judges, encoder and rewards, by the functions of the stages.

What the models answer goes to the row store, under the keys that the run's own jobs look up.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from wim import paths
from wim.dag.inputs import BASE, Inputs, Wildcards
from wim.dag.resources import BATCH_SIZES
from wim.dag.rewards import Rewards
from wim.dag.untracked import UntrackedOf
from wim.errors import UserError
from wim.settings.gate import seed_of_policy
from wim.settings.sampled_judges import sample_names
from wim.tables.files import as_arrow, read_candidates, read_table, write_table
from wim.tables.schemas import PROMPTS, RATINGS, REWARDS, Prompt

if TYPE_CHECKING:
    from wim.engines.staged import StagedModel
    from wim.settings.config import Config
    from wim.settings.models import ModelSource


@dataclass(frozen=True)
class Previewed:
    """What the stages made of the prompts.

    Attributes:
        prompts: The prompts.
        candidates: Rows of the dialogues table that judges rate.
        ratings: By judge and candidate, rows of the ratings table.
        rewards: By reward and candidate, rows of the rewards table.
    """

    prompts: list[Prompt]
    candidates: list[dict[str, Any]]
    ratings: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    rewards: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """The stages of a configuration, each on tables in a folder of their own.

    Attributes:
        config: The run's configuration.
        inputs: What its rules read.
        folder: For the tables, which nothing else reads.
        judges: The judges that rate.
    """

    config: "Config"
    inputs: Inputs
    folder: Path
    judges: Sequence[str]

    def run(self, number: int, skip: int = 0) -> Previewed:
        """Take prompts of the run through all stages.

        Args:
            number: How many prompts.
            skip: How many of the first to leave out.

        Raises:
            UserError: No prompt is left, a model is not staged, or a stage ends so.
        """
        self._check_staged()
        found = Previewed(prompts := self._prompts(number, skip), self._candidates(prompts))
        for judge in self.judges:
            self._rate(judge)
            for sample in self._samples(judge):
                rows = read_table(self._table("ratings", sample), RATINGS).to_pylist()
                found.ratings[sample] = {row["candidate_id"]: row for row in rows}
        for name in self._scored():
            rows = read_table(self._score(name), REWARDS).to_pylist()
            found.rewards[name] = {row["candidate_id"]: row for row in rows}
        return found

    def _check_staged(self) -> None:
        needed = [
            *self.inputs.manifests_of_speakers(self._named()),
            *(self.inputs.manifest_of_judge(self._named(judge=each)) for each in self.judges),
            *([self.inputs.manifest_of_encoder] if self._embedded() else []),
        ]
        missing = [path for path in dict.fromkeys(needed) if not Path(path).exists()]
        if missing:
            raise UserError(
                f"{missing[0]}: no such file; run `snakemake -- {' '.join(missing)}` first, which "
                "stages the models."
            )

    def _prompts(self, number: int, skip: int) -> list[Prompt]:
        from wim.prompts.ingest import ingest_prompts

        topics = [paths.TOPICS] if self.config.prompts.topics else []
        for path in (*self.inputs.prompt_files, *topics):
            if not Path(path).exists():
                raise UserError(f"{path}: no such file; run `snakemake -- {path}` first.")
        files = [*self.inputs.prompt_files, *topics]
        ingest_prompts(
            self.config.prompts.model_copy(update={"files": files}), self.folder / "all.parquet"
        )
        rows = read_table(self.folder / "all.parquet", PROMPTS).to_pylist()
        trained = [Prompt(**row) for row in rows if row["split"] == "train"]
        chosen = trained[skip : skip + number]
        if not chosen:
            raise UserError(f"--skip: found {skip}, and there are {len(trained)} prompts.")
        write_table(self._table("prompts"), PROMPTS, as_arrow(PROMPTS, chosen))
        return chosen

    def _candidates(self, prompts: Sequence[Prompt]) -> list[dict[str, Any]]:
        from wim.dialogues.generate import generate_dialogues

        manifests = self.inputs.manifests_of_speakers(self._named())
        sources = UntrackedOf(self.inputs).speakers(self._named()).models
        generate_dialogues(
            prompts=self._table("prompts"),
            models=[
                self._model("generate_dialogues", manifest, source)
                for manifest, source in zip(manifests, sources, strict=True)
            ],
            templates=[Path(path) for path in self.inputs.dialogue_templates],
            settings=self.config.policy_dialogues(BASE),
            seed=self.config.seed,
            output=self._table("dialogues"),
        )
        rows: list[dict[str, Any]] = read_candidates(self._table("dialogues")).to_pylist()
        return rows

    def _samples(self, judge: str) -> list[str]:
        return sample_names(judge, self.config.judges[judge].samples)

    def _rate(self, judge: str) -> None:
        from wim.judging.rate import rate_candidates
        from wim.judging.rate_aspects import rate_aspects
        from wim.judging.samples import rate_samples

        wildcards, settings = self._named(judge=judge), self.config.judges[judge]
        (source,) = UntrackedOf(self.inputs).judge(wildcards).models
        tables = [self._table("ratings", sample) for sample in self._samples(judge)]
        how: dict[str, Any] = {
            "dialogues": self._table("dialogues"),
            # The rows of several samples are those of this stage too.
            "model": self._model(
                "rate_candidates", self.inputs.manifest_of_judge(wildcards), source
            ),
            "templates": [Path(path) for path in self.inputs.templates_of_judge(wildcards)],
            "judge": judge,
            "settings": settings,
            "seed": seed_of_policy(BASE, self.config.seed),
            "conversations": self.config.judges_conversations(BASE),
            "reasoning": self.config.judges_reasoning(BASE),
        }
        if settings.aspects:
            aspects = self._table("aspects", judge)
            rate_aspects(samples=settings.samples, outputs=tables, aspects=aspects, **how)
        elif settings.label is not None:
            self._rate_by_label(judge, source, tables[0])
        elif settings.samples == 1:
            rate_candidates(output=tables[0], **how)
        else:
            rate_samples(samples=settings.samples, outputs=tables, **how)
        if judge in self._embedded():
            for sample in self._samples(judge):
                self._embed(sample)

    def _rate_by_label(self, judge: str, source: "ModelSource", output: Path) -> None:
        from wim.judging.by_label import rate_by_label

        manifest = self.inputs.manifest_of_judge(self._named(judge=judge))
        rate_by_label(
            dialogues=self._table("dialogues"),
            model=self._model("rate_by_label", manifest, source),
            judge=judge,
            label=str(self.config.judges[judge].label),
            output=output,
            conversations=self.config.judges_conversations(BASE),
            reasoning=self.config.judges_reasoning(BASE),
        )

    def _embed(self, judge: str) -> None:
        from wim.embedding.embed import embed_critiques

        embed_critiques(
            dialogues=self._table("dialogues"),
            ratings=self._table("ratings", judge),
            manifest=Path(self.inputs.manifest_of_encoder),
            judge=judge,
            store=Path(self.config.store, "embed_critiques"),
            output=self._table("embeddings", judge),
            scratch=self.config.local_scratch,
            conversations=self.config.judges_conversations(BASE),
            reasoning=self.config.judges_reasoning(BASE),
            long=self.config.embeddings.long,
        )

    def _scored(self) -> list[str]:
        """The rewards that these judges are enough for, panels after their members.

        Those with a head are left out until a run has fitted it, and so are their panels.
        """
        rewards = Rewards(self.inputs)
        found = [
            name
            for name in [*rewards.scored, *rewards.by_critique, *rewards.by_aspect]
            if set(self.config.judges_of(name)) <= set(self.judges)
            and all(Path(path).exists() for path in rewards.heads(self._named(reward=name)))
        ]
        panels = [
            name for name in rewards.panels if set(self.config.rewards[name].of) <= set(found)
        ]
        return [*found, *panels]

    def _score(self, name: str) -> Path:
        from wim.critiques.by_aspect import score_by_aspect
        from wim.critiques.by_critique import score_by_critique
        from wim.rewards.panel import combine_rewards
        from wim.rewards.score import score_candidates

        settings, output = self.config.rewards[name], self._table("rewards", name)
        if settings.kind == "panel":
            members = [self._table("rewards", member) for member in settings.of]
            combine_rewards(members=members, settings=settings, output=output)
            return output
        rewards = Rewards(self.inputs)
        if name in rewards.by_aspect:
            judge = self.config.judges[str(settings.judge)]
            score_by_aspect(
                dialogues=[self._table("dialogues")],
                aspects=[self._table("aspects", str(settings.judge))],
                settings=settings,
                names=list(judge.questions),
                samples=judge.samples,
                seed=settings.identity(self.config.seed).get("seed"),
                output=output,
            )
            return output
        ratings, embeddings = (
            [self._table(stage, sample) for sample in self._samples(settings.judge or "")]
            if stage in settings.reads
            else []
            for stage in ("ratings", "embeddings")
        )
        how: dict[str, Any] = {
            "dialogues": [self._table("dialogues")],
            "ratings": ratings,
            "embeddings": embeddings,
            "settings": settings,
            "seed": settings.identity(self.config.seed).get("seed"),
            "output": output,
        }
        if name in rewards.by_critique:
            heads = next(map(Path, rewards.heads(self._named(reward=name))), None)
            score_by_critique(heads=heads, samples=self.config.sampled(name), **how)
        else:
            score_candidates(**how)
        return output

    def _embedded(self) -> list[str]:
        return [name for name in Rewards(self.inputs).embedded_judges if name in self.judges]

    def _model(self, rule: str, manifest: str, source: "ModelSource") -> "StagedModel":
        from wim.engines.staged import StagedModel
        from wim.settings.named_models import without_batches

        source = without_batches(source)
        return StagedModel(
            manifest=Path(manifest),
            source=source,
            store=Path(self.config.store, rule),
            batch_size=BATCH_SIZES[rule],
            scratch=self.config.local_scratch,
            server_log=Path(paths.log(f"preview/{rule}")).with_suffix(".server.log"),
        )

    def _table(self, *names: str) -> Path:
        return self.folder.joinpath(*names).with_name(f"{names[-1]}.parquet")

    def _named(self, **names: str) -> Wildcards:
        return cast(Wildcards, SimpleNamespace(policy=BASE, **names))
