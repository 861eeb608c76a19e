"""The tables between the stages: each is a dataclass, whose annotations are its columns.

How they are written and read: wim.tables.files. What each column means: docs/reference/tables.md.
"""

from dataclasses import dataclass, field
from functools import cached_property
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, TypedDict, get_args, get_type_hints, is_typeddict

if TYPE_CHECKING:
    import pyarrow as pa

# A list of float32 of the table's dimension.
Vector = Annotated[list[float], "vector"]
# A row's own seed, which 32 bits do not hold.
Seed = Annotated[int, "int64"]


class Message(TypedDict):
    """One message of a conversation, as chat templates take it."""

    role: str
    content: str


# The finish_reason of a completion that was cut; any other was ended by its model.
CUT = "length"


class Member(TypedDict):
    """The reward that a member of a panel gives a candidate."""

    member: str
    judge: str
    status: str
    reward: float | None


@dataclass(frozen=True)
class Prompt:
    """A prompt: the messages before the first completion. Split is `train` or `eval`."""

    prompt_id: str
    messages: list[Message]
    split: str
    source: str
    reference: str | None = None
    metadata: str | None = None


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A completion in its context. Candidates of one dialogue and turn share their context.

    Those that are not `judged` are the turns of a speaker that does not learn, and what never came
    to an answer. `reasoning` is what the model thought before it; `tokens` are the ids of all that
    it wrote, with the one that ended its turn, where the engine knows them.
    """

    candidate_id: str
    prompt_id: str
    dialogue_id: str
    turn: int
    speaker: str
    sample: int
    context: list[Message]
    completion: str
    judged: bool = True
    continued: bool
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seed: Seed
    model_digest: str
    reasoning: str | None = None
    tokens: list[int] | None = None

    @property
    def never_answered(self) -> bool:
        """Whether the model was still thinking when it ended or was cut."""
        return self.reasoning is not None and not self.completion


@dataclass(frozen=True, kw_only=True)
class Rating:
    """A judge's view of a candidate. `raw` is the judge's raw text, whatever the status.

    `reasoning` is what it thought before that text, which nothing is read from.
    """

    candidate_id: str
    judge: str
    status: str
    rating: int | None
    rating_expected: float | None
    rating_source: str | None = None
    wim: str | None
    nothing_missing_logprob: float | None
    raw: str
    reasoning: str | None = None
    attempts: int
    tokens: int
    judge_digest: str


@dataclass(frozen=True)
class Comparison:
    """A judge's view of two responses, a and b, shown in both orders.

    Attributes:
        a_id, b_id: The candidates.
        winner: `a` or `b` if both orders agree, else `tie`; None for a failed judgement.
        preference_a: Probability that a is chosen, mean of both orders.
        logprob_a_shown_first, logprob_b_shown_second, logprob_b_shown_first,
            logprob_a_shown_second: In nats.
        source: What they are read from, `logprobs` or `samples`, or `text`.
        raw_a_shown_first, raw_b_shown_first: A judge's raw text in each order, where it writes one;
            None where it gave no answer.
    """

    pair_id: str
    prompt_id: str = field(default="", kw_only=True)
    a_id: str = field(default="", kw_only=True)
    b_id: str = field(default="", kw_only=True)
    judge: str
    status: str
    winner: str | None
    preference_a: float | None
    logprob_a_shown_first: float | None
    logprob_b_shown_second: float | None
    logprob_b_shown_first: float | None
    logprob_a_shown_second: float | None
    source: str | None = field(default=None, kw_only=True)
    raw_a_shown_first: str | None = field(default=None, kw_only=True)
    raw_b_shown_first: str | None = field(default=None, kw_only=True)
    judge_digest: str


@dataclass(frozen=True)
class Reward:
    """A candidate's reward by one judge; None where the judgement failed."""

    candidate_id: str
    prompt_id: str
    turn: int
    judge: str
    status: str
    cosine: float | None
    rating_scaled: float | None
    reward: float | None


@dataclass(frozen=True)
class PanelReward(Reward):
    """A candidate's reward by a panel, and what it is made of."""

    with_reward: int
    members: list[Member]


@dataclass(frozen=True)
class Pair:
    """A preference, in TRL's conversational form, and what the candidates have besides texts."""

    prompt: list[Message]
    chosen: list[Message]
    rejected: list[Message]
    prompt_id: str
    split: str
    score_chosen: float
    score_rejected: float
    margin: float
    chosen_id: str
    rejected_id: str
    chosen_model: str
    rejected_model: str
    judge: str
    reward: str
    chosen_finish_reason: str
    rejected_finish_reason: str
    chosen_reasoning: str | None
    rejected_reasoning: str | None
    chosen_tokens: list[int] | None
    rejected_tokens: list[int] | None


@dataclass(frozen=True)
class HarnessScore:
    """A model's score in a question of a benchmark, by one metric and filter, as `acc,none`."""

    task: str
    metric: str
    question: int
    score: float


# The share of unknown tokens of a text of which the encoder knows nothing: its vector says nothing.
WHOLLY_UNKNOWN = 1.0


@dataclass(frozen=True)
class Embedding:
    """A candidate and one judge's critique of it as vectors of unit length.

    `response_unknown` and `wim_unknown` are the shares (0..1) of their tokens, as far as they were
    read and punctuation aside, that the encoder does not know.
    """

    candidate_id: str
    judge: str
    response_embedding: Vector
    wim_embedding: Vector | None
    response_truncated: bool
    wim_truncated: bool
    response_unknown: float
    wim_unknown: float | None
    encoder_digest: str


Row = Prompt | Candidate | Rating | Comparison | HarnessScore


@dataclass(frozen=True)
class Table:
    """A table of rows of one dataclass.

    Attributes:
        name: Recorded in the file.
        row: The dataclass; its annotations are the columns, those that may be None are nullable.
        key: The columns that order the rows.
        dimension: Components of the table's vectors.
    """

    name: str
    row: type
    key: tuple[str, ...]
    dimension: int = 0

    @cached_property
    def schema(self) -> "pa.Schema":
        """The Arrow schema, with the table's name as its only metadata."""
        import pyarrow as pa

        fields = []
        for name, annotation in get_type_hints(self.row, include_extras=True).items():
            kind = _arrow_type(_not_none(annotation), self.dimension)
            fields.append(pa.field(name, kind, nullable=NoneType in get_args(annotation)))
        return pa.schema(fields, metadata={"wim.table": self.name})


def _not_none(annotation: Any) -> Any:
    """The annotation that is left of `X | None`; any other is itself."""
    members = get_args(annotation)
    return members[0] if NoneType in members else annotation


def _arrow_type(annotation: Any, dimension: int = 0) -> "pa.DataType":
    """The Arrow type of a column's annotation."""
    import pyarrow as pa

    if annotation == Vector:
        return pa.list_(pa.float32(), dimension)
    if annotation == Seed:
        return pa.int64()
    if is_typeddict(annotation):
        # In a struct every value may be null, as Parquet readers expect it.
        hints = get_type_hints(annotation)
        return pa.struct([(name, _arrow_type(_not_none(each))) for name, each in hints.items()])
    if get_args(annotation):
        return pa.list_(_arrow_type(get_args(annotation)[0]))
    types = {str: pa.string(), bool: pa.bool_(), int: pa.int32(), float: pa.float64()}
    return types[annotation]


PROMPTS = Table("prompts", Prompt, key=("prompt_id",))
# What the candidates of one context, which are compared with each other, have in common.
CONTEXT = ("prompt_id", "dialogue_id", "turn", "speaker")
DIALOGUES = Table("dialogues", Candidate, key=(*CONTEXT, "sample"))
RATINGS = Table("ratings", Rating, key=("candidate_id",))
COMPARISONS = Table("comparisons", Comparison, key=("pair_id",))
REWARDS = Table("rewards", Reward, key=("candidate_id",))
PANELS = Table("panels", PanelReward, key=REWARDS.key)
HARNESS_SCORES = Table("harness", HarnessScore, key=("task", "metric", "question"))
PAIRS = Table("pairs", Pair, key=("prompt_id", "chosen_id", "rejected_id"))


def embeddings_table(dimension: int) -> Table:
    """The embeddings table of an encoder whose vectors have `dimension` components."""
    return Table("embeddings", Embedding, key=("candidate_id",), dimension=dimension)
