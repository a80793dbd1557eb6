"""The same scorer in `transformers`, unfused and in float32: what the graph is compared with.

    python reference.py

prints the largest differences on the golden pairs. Needs `torch` and `transformers`, which nothing
else here does.
"""

import logging
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load
from tokenizers import Tokenizer
from torch.nn.functional import normalize
from transformers import BertModel

from build_small import BUNDLED, CACHE, fetch, unfitted
from golden import PAIRS
from late_interaction import build
from scoring import Inputs, OnnxScorer, PairScorer, load_tokenizer


class ReferenceScorer(PairScorer):
    """Relevance, before slope and intercept, from the published encoder's `files`."""

    def __init__(self, files: dict[str, bytes], tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        with tempfile.TemporaryDirectory() as folder:
            for name in ("config.json", "model.safetensors"):
                (Path(folder) / name).write_bytes(files[name])
            self.encoder: BertModel = BertModel.from_pretrained(
                folder, add_pooling_layer=False, attn_implementation="eager"
            )
        self.encoder.train(False)

    @torch.no_grad()
    def forward(self, inputs: Inputs) -> NDArray[np.float32]:
        """Relevance."""
        ids, mask, types = (
            torch.from_numpy(inputs[name])
            for name in ("input_ids", "attention_mask", "token_type_ids")
        )
        present = mask.bool()
        query, document = present & (types == 0), present & (types == 1)
        visible = (types[:, :, None] == types[:, None, :]) & present[:, None, :]
        hidden = self.encoder(
            input_ids=ids,
            attention_mask=torch.where(visible, 0.0, -1e9)[:, None],
            token_type_ids=torch.zeros_like(types),
            position_ids=torch.arange(ids.shape[1]) - types * query.sum(dim=1, keepdim=True),
        ).last_hidden_state
        rows = zip(hidden, query, document, strict=True)
        return np.array(
            [_relevance(row[left], row[right]) for row, left, right in rows], np.float32
        )


def _relevance(query: torch.Tensor, document: torch.Tensor) -> float:
    """From the token vectors (float32 `[tokens, hidden]`) of both texts."""
    cosine = normalize(query.mean(0), dim=0) @ normalize(document.mean(0), dim=0)
    inner = normalize(query[1:-1], dim=1) @ normalize(document, dim=1).T
    return float(cosine + inner.max(dim=1).values.mean()) if len(inner) else float(cosine)


def main() -> None:
    """Compare reference and graph on the golden pairs."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    files = fetch(CACHE)
    tokenizer = load_tokenizer(BUNDLED / "tokenizer.json")
    model = build(load(files["model.safetensors"]), unfitted(files))
    relevance = OnnxScorer(model.SerializeToString(), tokenizer)(PAIRS)
    reference = ReferenceScorer(files, tokenizer)(PAIRS)
    logging.info("float32 graph from reference: %.1e", np.abs(relevance - reference).max())


if __name__ == "__main__":
    main()
