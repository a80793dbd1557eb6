"""The same scorer in `transformers`, unfused and in float32: what the graph is compared with.

    python reference.py <finished.safetensors>

prints the largest difference on the golden pairs.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch.nn.functional import normalize

from build import unfitted
from encoder import load_state
from files import BUNDLED, read_formula
from golden import PAIRS
from late_interaction import WORTH, build
from scoring import Inputs, OnnxScorer, PairScorer, load_tokenizer

WORDS = "embeddings.word_embeddings"


class ReferenceScorer(PairScorer):
    """Relevance, before slope and intercept, from finished weights."""

    def __init__(self, state: dict[str, torch.Tensor], share: float, tokenizer: Tokenizer) -> None:
        super().__init__(tokenizer)
        self.share, self.worth = share, state[WORTH]
        if f"{WORDS}.0.weight" in state:
            wide = state[f"{WORDS}.0.weight"] @ state[f"{WORDS}.1.weight"].T
            state = state | {f"{WORDS}.weight": wide}
        self.encoder = load_state(state)

    @torch.no_grad()  # type: ignore[untyped-decorator]
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
        rows = zip(hidden, self.worth[ids], query, document, strict=True)
        return np.array(
            [
                self._relevance(vectors[left], vectors[right], worth[left][1:-1])
                for vectors, worth, left, right in rows
            ],
            np.float32,
        )

    def _relevance(self, query: torch.Tensor, document: torch.Tensor, worth: torch.Tensor) -> float:
        """From the token vectors (float32 `[tokens, hidden]`) of both texts."""
        cosine = self.share * normalize(query.mean(0), dim=0) @ normalize(document.mean(0), dim=0)
        inner = normalize(query[1:-1], dim=1) @ normalize(document, dim=1).T
        if not len(inner):
            return float(cosine)
        return float(cosine + (worth * inner.max(dim=1).values).sum() / worth.sum())


def main() -> None:
    """Compare reference and graph on the golden pairs."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("weights", type=Path)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    state = load_file(options.weights)
    arrays = {name: value.numpy() for name, value in state.items()}
    scorer = unfitted(arrays, read_formula("small")["share"])
    tokenizer = load_tokenizer(BUNDLED / "resift-small/tokenizer.json")
    relevance = OnnxScorer(build(arrays, scorer).SerializeToString(), tokenizer)(PAIRS)
    reference = ReferenceScorer(state, scorer.share, tokenizer)(PAIRS)
    logging.info("float32 graph from reference: %.1e", np.abs(relevance - reference).max())


if __name__ == "__main__":
    main()
