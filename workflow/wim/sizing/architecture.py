"""What of a model's shape decides its memory and its time."""

from dataclasses import dataclass, replace

from wim.errors import UserError

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Architecture:
    """The shape of a transformer.

    parameters: all of them. intermediate: width of an MLP, of one expert where there are several.
    experts_used: experts that each token goes through. tied: the input embeddings are also the
    output's. gated: the MLP has a gate beside its way up. longest: tokens that an encoder reads.
    file_dtype: precision of the weights on disk.
    """

    name: str
    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    tied: bool = False
    experts: int = 1
    experts_used: int = 1
    gated: bool = True
    longest: int = 512
    file_dtype: str = "bfloat16"

    @property
    def attention(self) -> int:
        """Width of the queries over all heads."""
        return self.heads * self.head_dim

    @property
    def packable(self) -> int:
        """Parameters that a quantisation packs: all but embeddings and output head."""
        return self.parameters - self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def in_experts(self) -> int:
        """Parameters of all experts together; none where there is one MLP."""
        one = self.layers * 3 * self.hidden * self.intermediate
        return self.experts * one if self.experts > 1 else 0

    @property
    def multiplied(self) -> int:
        """Parameters that a token is multiplied by: the used experts', and no lookup table."""
        unused = self.in_experts * (self.experts - self.experts_used) // self.experts
        return self.parameters - unused - (0 if self.tied else self.vocabulary * self.hidden)

    @property
    def file_bytes(self) -> int:
        """Size of the weights on disk."""
        return self.parameters * BYTES[self.file_dtype]

    def linear_layers(self) -> dict[str, tuple[int, int, int]]:
        """(inputs, outputs, how many in a layer) of the linear layers, by their usual names."""
        key_value = self.kv_heads * self.head_dim
        shapes = {
            "q_proj": (self.hidden, self.attention, 1),
            "k_proj": (self.hidden, key_value, 1),
            "v_proj": (self.hidden, key_value, 1),
            "o_proj": (self.attention, self.hidden, 1),
            "gate_proj": (self.hidden, self.intermediate, self.experts),
            "up_proj": (self.hidden, self.intermediate, self.experts),
            "down_proj": (self.intermediate, self.hidden, self.experts),
        }
        return {name: shape for name, shape in shapes.items() if self.gated or name != "gate_proj"}


_SEVEN = Architecture(
    name="Mistral-7B",
    parameters=7_241_732_096,
    layers=32,
    hidden=4096,
    intermediate=14336,
    heads=32,
    kv_heads=8,
    head_dim=128,
    vocabulary=32000,
)
# From the models' own config.json; the counts are of their weights.
KNOWN = (
    Architecture(
        name="SmolLM2-135M",
        parameters=134_515_008,
        layers=30,
        hidden=576,
        intermediate=1536,
        heads=9,
        kv_heads=3,
        head_dim=64,
        vocabulary=49152,
        tied=True,
    ),
    Architecture(
        name="Qwen2.5-1.5B-Instruct",
        parameters=1_543_714_304,
        layers=28,
        hidden=1536,
        intermediate=8960,
        heads=12,
        kv_heads=2,
        head_dim=128,
        vocabulary=151936,
        tied=True,
    ),
    Architecture(
        name="Qwen2.5-7B-Instruct",
        parameters=7_615_616_512,
        layers=28,
        hidden=3584,
        intermediate=18944,
        heads=28,
        kv_heads=4,
        head_dim=128,
        vocabulary=152064,
    ),
    Architecture(
        name="Qwen3-4B-Instruct-2507",
        parameters=4_022_468_096,
        layers=36,
        hidden=2560,
        intermediate=9728,
        heads=32,
        kv_heads=8,
        head_dim=128,
        vocabulary=151936,
        tied=True,
    ),
    _SEVEN,
    replace(_SEVEN, name="Llama-3-8B-Instruct", parameters=8_030_261_248, vocabulary=128256),
    replace(
        _SEVEN,
        name="Mixtral-8x7B-Instruct",
        parameters=46_702_792_704,
        experts=8,
        experts_used=2,
    ),
    Architecture(
        name="all-mpnet-base-v2",
        parameters=109_486_464,
        layers=12,
        hidden=768,
        intermediate=3072,
        heads=12,
        kv_heads=12,
        head_dim=64,
        vocabulary=30527,
        tied=True,
        gated=False,
        longest=384,
        file_dtype="float32",
    ),
    Architecture(
        name="all-MiniLM-L6-v2",
        parameters=22_713_216,
        layers=6,
        hidden=384,
        intermediate=1536,
        heads=12,
        kv_heads=12,
        head_dim=32,
        vocabulary=30522,
        tied=True,
        gated=False,
        longest=256,
        file_dtype="float32",
    ),
)


def known_model(text: str) -> Architecture | None:
    """The known architecture whose name a text holds, whatever its case and separators."""
    plain = text.lower().replace("_", "-")
    found = [each for each in KNOWN if each.name.lower() in plain]
    return max(found, key=lambda each: len(each.name), default=None)


def described_model(
    parameters: float,
    layers: int,
    hidden: int,
    heads: int | None = None,
    kv_heads: int | None = None,
    intermediate: int | None = None,
    vocabulary: int = 128256,
) -> Architecture:
    """A dense, gated model with untied embeddings, for which not every size is given.

    Heads are 128 wide; without kv_heads every head has keys and values of its own; the MLP is as
    wide as the count of parameters leaves. Raises UserError if nothing is left for it.
    """
    heads = heads or max(1, hidden // 128)
    kv_heads, head_dim = kv_heads or heads, hidden // heads
    in_attention = 2 * hidden * (heads + kv_heads) * head_dim
    left = (parameters - 2 * vocabulary * hidden) / layers - in_attention
    width = intermediate or round(left / (3 * hidden))
    if width < 1:
        raise UserError(
            f"--parameters: found {parameters:g}, fewer than {layers} layers of width {hidden} and "
            f"a vocabulary of {vocabulary} take; correct one of them."
        )
    return Architecture(
        name="as described",
        parameters=int(parameters),
        layers=layers,
        hidden=hidden,
        intermediate=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=vocabulary,
    )
