"""How a local model's weights are held, and what computes its attention."""

from typing import Literal

Quantization = Literal["none", "nf4", "int8"]
Attention = Literal["auto", "sdpa", "eager", "flash_attention_2"]
