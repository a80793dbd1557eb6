"""The model that is trained."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from encoder import Texts, forward, load_teacher, relevance, texts
from teachers import START


class Scores(NamedTuple):
    """Of every query and document: relevance `[queries, documents]`, and the cosines of their
    tokens, `[queries, length, documents, length]`.
    """

    relevance: Tensor
    cosines: Tensor


class Student(nn.Module):  # type: ignore[misc]
    """`bert` as it is at the start.

    `sharpness` is what z-scores would be: it makes relevance comparable with the teachers' scores.
    """

    def __init__(self, bert: Any, share: float, sharpness: float) -> None:
        super().__init__()
        self.bert = bert
        self.share = share
        # Relevance has a standard deviation of about 0.15 within a batch.
        self.log_sharpness = nn.Parameter(torch.tensor(sharpness / 0.15).log())

    def forward(
        self,
        queries: Sequence[Sequence[int]],
        documents: Sequence[Sequence[int]],
        worth: Tensor,
        batch_tokens: int = 8192,
    ) -> tuple[Scores, Texts, Texts]:
        """Scores, float32, of every query (token ids) with every document, and their vectors.

        `worth` is `relevance`'s. The encoder runs in bfloat16, whose three digits would be too few
        for cosines.
        """
        device = self.bert.device.type
        with torch.autocast(device, dtype=torch.bfloat16):
            sides = [
                forward(self.bert, ids, batch_tokens=batch_tokens) for ids in (queries, documents)
            ]
        asked, held = (texts(*side) for side in sides)
        return Scores(*relevance(asked, held, worth, self.share)), asked, held

    def sharpened(self, scores: Scores) -> Tensor:
        """Logits of the softmax over a query's documents."""
        return scores.relevance * self.log_sharpness.exp()


def small(cache: Path, settings: dict[str, Any], share: float) -> Student:
    """Today's bundled scorer; words and positions stay what they are."""
    bert = load_teacher(START, cache)
    for table in (bert.embeddings.word_embeddings, bert.embeddings.position_embeddings):
        table.weight.requires_grad_(False)
    return Student(bert, share, settings["sharpness"])


def save(student: Student, path: Path) -> None:
    """The encoder's weights alone, under their Hugging Face names."""
    state = {name: value.contiguous() for name, value in student.bert.state_dict().items()}
    save_file(state, str(path))
