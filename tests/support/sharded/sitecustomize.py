"""Lets accelerate share a model out over processors: it offers FSDP to GPUs alone.

For processes that have this folder on PYTHONPATH, two processes on the processor (gloo) are taken
for two GPUs where accelerate decides whether to shard.
"""

from accelerate.state import PartialState
from accelerate.utils import DistributedType

_initialise = PartialState.__init__


def _as_on_gpus(self: PartialState, *arguments: object, **named: object) -> None:
    _initialise(self, *arguments, **named)
    state = PartialState._shared_state
    if state.get("distributed_type") == DistributedType.MULTI_CPU:
        state["distributed_type"] = DistributedType.MULTI_GPU


PartialState.__init__ = _as_on_gpus
