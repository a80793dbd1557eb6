"""Our models against their formula, on the weights of their graphs, in transformers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from packages import MODELS

from resift import Reranker

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", reason=_REASON)

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
    """A model's card in code, in float32 and one pair at a time."""

    def __init__(self, name: str) -> None:
        from resift.backends.torch.late_interaction import read_late_interaction

        folder = MODELS[name]
        self._encoded: dict[tuple[int, ...], Any] = {}
        read = read_late_interaction(folder / "model.onnx", torch.device("cpu"), torch.float32)
        self.model, self.formula = read.model, read._formula
        self.model.set_attn_implementation("eager")
        self.tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_file=str(folder / "tokenizer.json")
        )
        card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
        self.window: int = card["window"]
        self.tolerance: dict[str, float] = {"fp32": 1e-4, "int8": card["tolerance"]}

    def __call__(self, query: str, document: str) -> float:
        """The logit of a pair.

        Texts that don't see each other are two texts encoded apart. Each has the special tokens
        that it has in the pair: ``[CLS]`` in front and ``[SEP]`` at the end.
        """
        # In lists: outside of one, the tokenizer takes an empty second text for none at all.
        pair = self.tokenizer(
            [query],
            [document],
            truncation="only_second",
            max_length=self.window,
            return_token_type_ids=True,
            return_tensors="pt",
        )
        ids, types = pair["input_ids"][0], pair["token_type_ids"][0]
        left, right = self._encode(ids[types == 0]), self._encode(ids[types == 1])
        cosine = torch.nn.functional.cosine_similarity
        relevance = self.formula.share * cosine(left.mean(dim=0), right.mean(dim=0), dim=0)
        if len(inner := left[1:-1]):
            best = cosine(inner[:, None], right[None], dim=-1).max(dim=1).values
            worth = self.formula.worth[ids[types == 0][1:-1]]
            relevance += (worth * best).sum() / worth.sum()
        return float(self.formula.slope * relevance + self.formula.intercept)

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


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_formula_on_the_stored_weights_gives_the_logits(name: str, precision: str) -> None:
    formula = Formula(name)
    reranker = Reranker(MODELS[name], backend="onnx", precision=precision, normalization="none")
    found = np.array([reranker.score(query, DOCUMENTS) for query in QUERIES])
    expected = formula.logits()
    assert expected.std() > 1
    assert np.abs(found - expected).max() < formula.tolerance[precision]
    for query, document in ODD_PAIRS:
        (logit,) = reranker.score(query, [document])
        assert logit == pytest.approx(formula(query, document), abs=formula.tolerance[precision])
