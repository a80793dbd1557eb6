"""The model that is trained: an encoder whose inner layers give relevance as well."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from encoder import forward, load_teacher, relevance, texts
from teachers import START


class Scores(NamedTuple):
    """Of every query and document: relevance `[queries, documents]`, and the cosines of their
    tokens, `[queries, length, documents, length]`.
    """

    relevance: Tensor
    cosines: Tensor


class Student(nn.Module):
    """`bert` as it is at the start; `layers` are those that give scores, the last one included.

    `sharpness` is what z-scores would be: it makes relevance, whose spread differs from layer to
    layer, comparable with the teachers'.
    """

    def __init__(self, bert: Any, layers: Sequence[int], sharpness: float) -> None:
        super().__init__()
        self.bert = bert
        self.layers = sorted({*layers, bert.config.num_hidden_layers})
        # Relevance has a standard deviation of about 0.15 within a batch.
        start = torch.full((len(self.layers),), sharpness / 0.15).log()
        self.log_sharpness = nn.Parameter(start)

    def forward(
        self,
        queries: Sequence[Sequence[int]],
        documents: Sequence[Sequence[int]],
        batch_tokens: int = 8192,
    ) -> dict[int, Scores]:
        """Scores by layer, float32, of every query (token ids) with every document.

        The encoder runs in bfloat16, whose three digits would be too few for cosines.
        """
        device = self.bert.device.type
        with torch.autocast(device, dtype=torch.bfloat16):
            sides = [
                forward(self.bert, ids, batch_tokens=batch_tokens, layers=self.layers)
                for ids in (queries, documents)
            ]
        return {
            layer: Scores(*relevance(*(texts(states[layer], present) for states, present in sides)))
            for layer in self.layers
        }

    def sharpened(self, scores: dict[int, Scores]) -> dict[int, Tensor]:
        """Logits of the softmax over a query's documents, by layer."""
        factors = self.log_sharpness.exp()
        return {
            layer: scores[layer].relevance * factor
            for layer, factor in zip(self.layers, factors, strict=True)
        }


def small(cache: Path, settings: dict[str, Any]) -> Student:
    """Today's bundled scorer; words and positions stay what they are."""
    bert = load_teacher(START, cache)
    for table in (bert.embeddings.word_embeddings, bert.embeddings.position_embeddings):
        table.weight.requires_grad_(False)
    return Student(bert, settings["early_layers"], settings["sharpness"])


def save(student: Student, path: Path) -> None:
    """The encoder's weights alone, under their Hugging Face names."""
    state = {name: value.contiguous() for name, value in student.bert.state_dict().items()}
    save_file(state, str(path))
