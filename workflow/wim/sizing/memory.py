"""Memory of each stage in bytes, tensor by tensor; the formulas are in docs/reference/sizing.md.

The counts follow what the stages execute: the engine's reserved cache, transformers' layers, and
TRL's DPO with its loss in tiles. bench/memory.py checks them against runs.
"""

from dataclasses import dataclass, replace

from wim.settings.precision import Quantization
from wim.sizing.architecture import BYTES, Architecture

# 4 bits and one float32 scale for 64 weights (QLoRA, arXiv 2305.14314, without double
# quantisation); 8 bits with a scale for each row (LLM.int8, arXiv 2208.07339).
PACKED = {"nf4": 0.5 + 4 / 64, "int8": 1.0}
# Tokens of room in the engine's cache beside those of the longest row, and tokens of prompts that it
# reads at once; both as in wim.engines.local.engine.
REFILL_ROOM, PREFILL_TOKENS = 64, 16_384
# Tokens, and entries of the vocabulary, that TRL projects at a time.
LOSS_TOKENS, LOSS_VOCABULARY = 4096, 32768
# A trained number with its gradient and AdamW's two moments, all in float32.
TRAINED = 4 + 4 + 8


@dataclass(frozen=True)
class Place:
    """Where a model runs.

    context: what the process holds beside tensors, in bytes. spare: what the allocator holds
    beyond what is requested, as a share of what comes and goes. fold: bytes for each logit of a
    tile in TRL's loss, beside the tile itself.
    """

    context: float
    spare: float
    fold: int


# On a GPU: assumed; a Triton kernel folds the loss in place.
GPU = Place(context=0.75e9, spare=0.2, fold=0)
# On a CPU: tokenizer and modules; the heap of glibc, measured; seven float32 and a mask.
CPU = Place(context=0.055e9, spare=0.3, fold=29)


@dataclass(frozen=True)
class Memory:
    """Bytes that are held at the peak.

    cache: keys and values. activations: what layers, logits and loss hold. training: adapters,
    gradients, optimizer, reference model. spare: see Place.
    """

    weights: float
    cache: float
    activations: float
    training: float
    spare: float
    context: float

    @property
    def total(self) -> float:
        """All of it."""
        held = self.weights + self.cache + self.activations + self.training
        return held + self.spare + self.context

    def beside(self, weights: float) -> "Memory":
        """The same with the weights of another model on the GPU."""
        return replace(self, weights=self.weights + weights)

    def in_turn(self, other: "Memory") -> "Memory":
        """Two models in one process that work in turn: both are held, the greater work counts."""
        return Memory(
            weights=self.weights + other.weights,
            cache=max(self.cache, other.cache),
            activations=max(self.activations, other.activations),
            training=self.training + other.training,
            spare=max(self.spare, other.spare),
            context=max(self.context, other.context),
        )


def weights_bytes(
    model: Architecture, dtype: str = "bfloat16", quantization: Quantization = "none"
) -> float:
    """The weights; embeddings and output head are never packed."""
    if quantization == "none":
        return float(model.parameters * BYTES[dtype])
    kept = model.parameters - model.packable
    return model.packable * PACKED[quantization] + kept * BYTES[dtype]


def cache_bytes(model: Architecture, rows: int, tokens: int, dtype: str = "bfloat16") -> float:
    """Keys and values of all layers."""
    width = model.kv_heads * model.head_dim
    return float(2 * model.layers * width * BYTES[dtype] * rows * tokens)


def generation_memory(
    model: Architecture,
    rows: int,
    prompt: int,
    new: int,
    dtype: str = "bfloat16",
    quantization: Quantization = "none",
    place: Place = GPU,
    lookahead: int = 0,
    whole_vocabulary: bool = False,
) -> Memory:
    """A batch of `rows` prompts of `prompt` tokens that continue for `new` tokens.

    lookahead: tokens whose logits are read at once where the judge's choices are looked up.
    whole_vocabulary: tokens are sampled among all, not among the most likely ones.
    """
    width = BYTES[dtype]
    read = max(prompt, min(rows * prompt, PREFILL_TOKENS))
    # The running MLP holds its activated gate, its way up and their product, beside the residual
    # stream and its norm.
    prefill = read * width * (3 * model.intermediate + 2 * model.hidden)
    # Logits as they come, in float32 and scaled; noise of 64 bits where all may be sampled.
    logit = width + 8 + (32 if whole_vocabulary else 0)
    logits = rows * model.vocabulary * max(logit, lookahead * (width + 8))
    first = cache_bytes(model, 1, read, dtype)
    cache = cache_bytes(model, rows, prompt + max(new, 1) + REFILL_ROOM, dtype)
    activations = float(logits)
    if read < rows * prompt:
        # Beside the cache of the batch, prompts are read with one of their own.
        activations = max(logits, first + prefill)
    elif first + prefill > cache + logits:
        cache, activations = first, prefill
    activations += _unpacked(model, width, quantization)
    weights = weights_bytes(model, dtype, quantization)
    spare = place.spare * (cache + activations)
    return Memory(weights, cache, activations, 0.0, spare, place.context)


def encoding_memory(model: Architecture, texts: int, tokens: int, place: Place = GPU) -> Memory:
    """A batch of texts in a sentence encoder, which runs in the precision of its file."""
    width = BYTES[model.file_dtype]
    activations = texts * tokens * width * (2 * model.intermediate + 3 * model.hidden)
    weights = weights_bytes(model, model.file_dtype)
    return Memory(weights, 0.0, activations, 0.0, place.spare * activations, place.context)


def adapter_parameters(model: Architecture, rank: int, targets: str | list[str]) -> int:
    """Numbers in low-rank adapters: rank x (inputs + outputs) of each layer that gets one.

    Targets that are no list (all-linear, or a pattern) count as all linear layers.
    """
    layers = model.linear_layers()
    chosen = (
        list(layers) if isinstance(targets, str) else [name for name in layers if name in targets]
    )
    shapes = [layers[name] for name in chosen]
    return model.layers * rank * sum(count * (ins + outs) for ins, outs, count in shapes)


def training_memory(
    model: Architecture,
    sequences: int,
    length: int,
    half: bool = True,
    adapter: int | None = None,
    checkpointing: bool = False,
    quantization: Quantization = "none",
    place: Place = GPU,
    reference: bool = True,
    vocabulary: bool = True,
) -> Memory:
    """One micro-batch of training: `sequences` (two for each pair) of `length` tokens.

    half: bfloat16 autocast. adapter: its number of parameters over frozen weights; None trains all
    weights in float32. reference: as in DPO, which then needs a second model. vocabulary: the loss
    is one of tokens, not of a number that a reward model gives.
    """
    dtype = "bfloat16" if half and adapter is not None else "float32"
    if adapter is None:
        weights = weights_bytes(model, "float32")
        # Autocast keeps a bfloat16 copy of each weight for the backward pass.
        cast = 2 * model.packable if half else 0
        training = (weights if reference else 0) + (TRAINED - 4) * model.parameters + cast
        head = 4 * model.vocabulary * model.hidden
    else:
        weights = weights_bytes(model, dtype, quantization)
        training, head = float(TRAINED * adapter), 0
    tokens, width = sequences * length, 2 if half else 4
    kept = tokens * _kept_of_layer(model, half, adapter is not None)
    logits = min(tokens, LOSS_TOKENS) * min(model.vocabulary, LOSS_VOCABULARY)
    loss = logits * (width + place.fold) + head if vocabulary else 0
    if checkpointing:
        stream = model.layers * tokens * model.hidden * BYTES[dtype]
        activations = stream + max(loss, kept)
    else:
        activations = model.layers * kept + loss
    activations += _unpacked(model, width, quantization)
    spare = place.spare * activations
    return Memory(weights, 0.0, float(activations), training, spare, place.context)


def _kept_of_layer(model: Architecture, half: bool, adapted: bool) -> int:
    """Bytes of a token that one layer keeps for the backward pass.

    Attention keeps queries, keys and values (repeated to all heads, as where a batch is padded)
    and its output; the MLP its gate before and after the activation, its way up and their product.
    """
    attention, hidden = model.attention, model.hidden
    inner = 4 * attention + 4 * model.intermediate * model.experts_used
    if not half:
        return 4 * (inner + hidden * (4 if adapted else 6))
    # Norms work in float32. Queries, keys, values, gate and way up each cast an input of their own,
    # and an adapter on the attention's output does too.
    if adapted:
        return 2 * (inner + attention + 5 * hidden) + 4 * 2 * hidden
    return 2 * (inner + 5 * hidden) + 4 * 4 * hidden


def _unpacked(model: Architecture, width: int, quantization: Quantization) -> int:
    """The largest layer as it is multiplied, where the weights lie in 4 bits; experts all at once."""
    largest = max(model.hidden * model.intermediate, model.in_experts // model.layers)
    return width * largest if quantization == "nf4" else 0
