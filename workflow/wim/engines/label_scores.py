"""The probability of a label, by a sequence classifier that has several; as scores of a reward model."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from wim.engines.precisions import known_by
from wim.engines.reward_model_engine import ScoringModel, _positions
from wim.engines.staged import StagedModel
from wim.engines.stored import LOCAL, answer_schema
from wim.engines.stored_scores import StoredScores
from wim.errors import UserError
from wim.provenance.code import code_digest
from wim.provenance.code_changes import stored_code

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)
MULTI_LABEL = "multi_label_classification"


class LabelModel(ScoringModel):
    """A sequence classifier in memory; the score of a conversation is the probability of one label."""

    def __init__(self, folder: Path, label: str, dtype: str = "auto", batch_size: int = 64) -> None:
        """Open a classifier.

        Args:
            folder: The staged model.
            label: The label's name in its configuration, or its place from 0.
            dtype: Of the weights; see ModelSource.
            batch_size: Texts at once on a GPU.

        Raises:
            UserError: It has no such label, or is no classifier.
        """
        import torch
        from transformers import AutoModelForSequenceClassification

        from wim.engines.chat_format import ChatFormat
        from wim.engines.local.loading import check_whole
        from wim.engines.machine import dtype_of
        from wim.engines.turn_format import TurnFormat

        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        chosen = dtype_of(dtype, "generation")
        self.batch_size = batch_size if self.device == "cuda" else 1
        chat = ChatFormat.of_folder(folder)
        self.tokenizer = chat.tokenizer
        if self.tokenizer.eos_token is None and self.tokenizer.sep_token is not None:
            # What ends a text, in the kind of BERT.
            self.tokenizer.eos_token = self.tokenizer.sep_token
            chat.ends = chat.ends | {self.tokenizer.sep_token_id}
        self.tokenizer.pad_token = self.tokenizer.pad_token or self.tokenizer.eos_token
        self.turns = TurnFormat(chat)
        model, loading = AutoModelForSequenceClassification.from_pretrained(
            folder,
            dtype=chosen,
            device_map=self.device,
            trust_remote_code=False,
            output_loading_info=True,
        )
        place = place_of(label, model.config.id2label, folder)
        check_whole(folder, loading, "a sequence classifier")
        model.config.get_text_config().pad_token_id = self.tokenizer.pad_token_id
        self.context = _positions(model)
        several = model.config.problem_type == MULTI_LABEL
        classifier = model.eval()

        def probabilities(**batch: "torch.Tensor") -> Any:
            logits = classifier(**batch).logits.float()
            found = logits.sigmoid() if several else logits.softmax(dim=-1)
            return SimpleNamespace(logits=found[:, place : place + 1])

        self.model = probabilities
        logger.info("label %s: %s on %s", label, chosen, self.device)


def place_of(label: str, labels: Mapping[int, str], folder: Path) -> int:
    """The place of a label among a classifier's, by its name or its number.

    Raises:
        UserError: There is no such label, or no other one.
    """
    if len(labels) < 2:
        raise UserError(
            f"{folder}: a model of one label, whose number is no probability; leave "
            "judges.<name>.label out."
        )
    for place, name in labels.items():
        if label in (name, str(place)):
            return int(place)
    raise UserError(
        f"{folder}: found no label '{label}'; write one of these as judges.<name>.label: "
        f"{', '.join(labels.values())}."
    )


def label_code() -> str:
    """The digest of the code that decides the probability of a label."""
    return code_digest(
        Path(__file__),
        within=(*LOCAL, "wim.engines.turn_format", "wim.engines.reward_model_engine"),
    )


@contextmanager
def open_label_scorer(model: StagedModel, label: str) -> Iterator[StoredScores]:
    """A staged classifier with its store, opened when a first probability is missing."""
    from wim.store.rows import RowStore

    code = stored_code(model.store, label_code())
    identity = {"scorer": model.digest, "label": label, "code": code}
    known = known_by(identity, model.source, model.unopened)

    def open_model() -> Any:
        if model.unopened:
            from wim.engines.unopened import UnopenedModel

            return UnopenedModel()
        dtype = str(known.identity["dtype"])
        return LabelModel(model.folder, label, dtype, model.batch_size)

    with RowStore(model.store, answer_schema(), waits=not model.unopened) as rows:
        yield StoredScores(open_model, rows, known)
