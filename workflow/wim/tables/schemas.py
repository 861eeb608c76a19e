"""The tables between the stages: the rows, and one schema each. On disk: table_files.py."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import pyarrow as pa


class Message(TypedDict):
    """One message of a conversation, as chat templates take it."""

    role: str
    content: str


@dataclass(frozen=True)
class Prompt:
    """A prompt: the messages before the first completion. Split is `train` or `eval`."""

    prompt_id: str
    messages: list[Message]
    split: str
    source: str
    reference: str | None = None
    metadata: str | None = None


@dataclass(frozen=True)
class Candidate:
    """A completion in its context. Candidates of one dialogue and turn share their context.

    Those that are not `judged` are what a speaker said from whom nothing is learnt.
    """

    candidate_id: str
    prompt_id: str
    dialogue_id: str
    turn: int
    speaker: str
    sample: int
    context: list[Message]
    completion: str
    continued: bool
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seed: int
    model_digest: str
    judged: bool = True


@dataclass(frozen=True)
class Rating:
    """A judge's view of a candidate. `raw` holds the judge's own words, whatever the status."""

    candidate_id: str
    judge: str
    status: str
    rating: int | None
    rating_expected: float | None
    wim: str | None
    nothing_missing_logprob: float | None
    raw: str
    attempts: int
    tokens: int
    judge_digest: str
    rating_source: str | None = None


@dataclass(frozen=True)
class Comparison:
    """A judge's view of two responses, a and b, shown in both orders.

    winner: `a` or `b` where both orders agree, else `tie`; None for a failed judgement.
    preference_a: probability that a is chosen, mean of both orders. logprob_*: in nats.
    source: what they are read from, `logprobs` or `samples`. a_id, b_id: the candidates.
    """

    pair_id: str
    judge: str
    status: str
    winner: str | None
    preference_a: float | None
    logprob_a_shown_first: float | None
    logprob_b_shown_second: float | None
    logprob_b_shown_first: float | None
    logprob_a_shown_second: float | None
    judge_digest: str
    source: str | None = None
    prompt_id: str = ""
    a_id: str = ""
    b_id: str = ""


Row = Prompt | Candidate | Rating | Comparison
ROW_GROUP = 2**16


@dataclass(frozen=True)
class Table:
    """A table's name, its columns as (name, type) with `?` for nullable, and its order."""

    name: str
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]

    @property
    def schema(self) -> "pa.Schema":
        """The Arrow schema, with the table's name as its only metadata."""
        import pyarrow as pa

        fields = [
            pa.field(name, _arrow_type(kind.rstrip("?")), nullable=kind.endswith("?"))
            for name, kind in self.columns
        ]
        return pa.schema(fields, metadata={"wim.table": self.name})


def _arrow_type(kind: str) -> "pa.DataType":
    import pyarrow as pa

    message = pa.struct([pa.field("role", pa.string()), pa.field("content", pa.string())])
    member = pa.struct(
        [(name, pa.string()) for name in ("member", "judge", "status")] + [("reward", pa.float64())]
    )
    types = {
        "text": pa.string(),
        "bool": pa.bool_(),
        "int": pa.int32(),
        "seed": pa.int64(),
        "float": pa.float64(),
        "messages": pa.list_(message),
        "members": pa.list_(member),
    }
    if kind.startswith("vector:"):
        return pa.list_(pa.float32(), int(kind.removeprefix("vector:")))
    return types[kind]


PROMPTS = Table(
    "prompts",
    (
        ("prompt_id", "text"),
        ("messages", "messages"),
        ("split", "text"),
        ("source", "text"),
        ("reference", "text?"),
        ("metadata", "text?"),
    ),
    key=("prompt_id",),
)
# What the candidates of one context, which are compared with each other, have in common.
CONTEXT = ("prompt_id", "dialogue_id", "turn", "speaker")
DIALOGUES = Table(
    "dialogues",
    (
        ("candidate_id", "text"),
        ("prompt_id", "text"),
        ("dialogue_id", "text"),
        ("turn", "int"),
        ("speaker", "text"),
        ("sample", "int"),
        ("context", "messages"),
        ("completion", "text"),
        ("judged", "bool"),
        ("continued", "bool"),
        ("finish_reason", "text"),
        ("prompt_tokens", "int"),
        ("completion_tokens", "int"),
        ("seed", "seed"),
        ("model_digest", "text"),
    ),
    key=("prompt_id", "dialogue_id", "turn", "speaker", "sample"),
)
RATINGS = Table(
    "ratings",
    (
        ("candidate_id", "text"),
        ("judge", "text"),
        ("status", "text"),
        ("rating", "int?"),
        ("rating_expected", "float?"),
        ("rating_source", "text?"),
        ("wim", "text?"),
        ("nothing_missing_logprob", "float?"),
        ("raw", "text"),
        ("attempts", "int"),
        ("tokens", "int"),
        ("judge_digest", "text"),
    ),
    key=("candidate_id",),
)
COMPARISONS = Table(
    "comparisons",
    (
        ("pair_id", "text"),
        ("prompt_id", "text"),
        ("a_id", "text"),
        ("b_id", "text"),
        ("judge", "text"),
        ("status", "text"),
        ("winner", "text?"),
        ("preference_a", "float?"),
        ("logprob_a_shown_first", "float?"),
        ("logprob_b_shown_second", "float?"),
        ("logprob_b_shown_first", "float?"),
        ("logprob_a_shown_second", "float?"),
        ("source", "text?"),
        ("judge_digest", "text"),
    ),
    key=("pair_id",),
)
REWARDS = Table(
    "rewards",
    (
        ("candidate_id", "text"),
        ("prompt_id", "text"),
        ("turn", "int"),
        ("judge", "text"),
        ("status", "text"),
        ("cosine", "float?"),
        ("rating_scaled", "float?"),
        ("reward", "float?"),
    ),
    key=("candidate_id",),
)
# A rewards table with what its rows are made of.
PANELS = Table(
    "panels", (*REWARDS.columns, ("with_reward", "int"), ("members", "members")), key=REWARDS.key
)
PAIRS = Table(
    "pairs",
    (
        ("prompt", "messages"),
        ("chosen", "messages"),
        ("rejected", "messages"),
        ("prompt_id", "text"),
        ("split", "text"),
        ("score_chosen", "float"),
        ("score_rejected", "float"),
        ("margin", "float"),
        ("chosen_id", "text"),
        ("rejected_id", "text"),
        ("chosen_model", "text"),
        ("rejected_model", "text"),
        ("judge", "text"),
        ("reward", "text"),
    ),
    key=("prompt_id", "chosen_id", "rejected_id"),
)


def embeddings_table(dimension: int) -> Table:
    """The embeddings table of an encoder whose vectors have `dimension` components."""
    return Table(
        "embeddings",
        (
            ("candidate_id", "text"),
            ("judge", "text"),
            ("response_embedding", f"vector:{dimension}"),
            ("wim_embedding", f"vector:{dimension}?"),
            ("response_truncated", "bool"),
            ("wim_truncated", "bool"),
            ("encoder_digest", "text"),
        ),
        key=("candidate_id",),
    )
