"""The models: as encoders of single texts, and how two texts' vectors become a logit."""

import json
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from collection import Collection
from made import BUNDLED, TEACHERS, by_text, calibration, fetch, shipped_encoder
from matrices import Floats, Ids, Matrices, Pooling, compute, digest, kept
from resift.models.store.manifest import sha256
from resift.text.tokenizer import PairTokenizer

SHIPPED = ("resift-small", "resift-nano")
PUBLISHED = {"minilm": "all-MiniLM-L6-v2", "bge-small": "bge-small", "gte-small": "gte-small"}

log = logging.getLogger("encoders")


@dataclass(frozen=True)
class Formula:
    """`slope * (share * cosine + match) + intercept`: a logit, with even odds."""

    share: float
    slope: float
    intercept: float

    def logits(self, cosine: Floats, match: Floats) -> Floats:
        """Of both terms, in any shape."""
        relevance = self.share * cosine + match
        return np.asarray(self.slope * relevance + self.intercept, np.float32)


class Model:
    """One of `SHIPPED` or `PUBLISHED`, by name; `cache` keeps downloads and results."""

    def __init__(self, name: str, cache: Path, *, threads: int) -> None:
        self.name, self._cache, self._threads = name, cache, threads
        self._folder = BUNDLED / (name if name in SHIPPED else "resift-small")
        self.tokenizer = PairTokenizer(self._folder / "tokenizer.json", pad_token_id=0)
        self.worth: Floats | None = None
        self._pooling: Pooling = "mean"
        if name in SHIPPED:
            read = shipped_encoder.read(self._folder)
            self._graph: Path | bytes = read.graph
            self.worth = read.worth
            self._formula = Formula(read.share, read.slope, read.intercept)
            self._digest = digest(name, sha256(self._folder / "model.onnx.data"))
        else:
            teacher = TEACHERS[name]
            self._graph = fetch(name, cache) / teacher.weights
            self._pooling = "cls" if teacher.pooling == "cls" else "mean"
            self._digest = digest(name, teacher.sha256)
        self._encode: Callable[[Ids], Floats] | None = None

    @property
    def key(self) -> str:
        """Hexadecimal: of the weights."""
        return self._digest

    def encode(self, ids: Ids) -> Floats:
        """What `by_text.Encoder` gives; opened at the first text."""
        if self._encode is None:
            self._encode = by_text.Encoder(self._graph, self.tokenizer, threads=self._threads)
        return self._encode(ids)

    def matrices(self, collection: Collection) -> Matrices:
        """Of a collection, from the cache where it has them."""
        name = f"{collection.name}.{self.name}.{digest(self._digest, collection.sha256)}.npz"
        return kept(
            self._cache / "matrices" / name,
            lambda: compute(
                collection, self.tokenizer, self.encode, pooling=self._pooling, worth=self.worth
            ),
        )

    def formula(self, data: Path) -> Formula:
        """The card's; of a published encoder, fitted as a card's is, on the training text there."""
        if self.name in SHIPPED:
            return self._formula
        path = self._cache / "formulas" / f"{self.name}.{self._digest}.json"
        if not path.exists():
            log.info("%s", path.name)
            path.parent.mkdir(parents=True, exist_ok=True)
            fit = calibration.fit(*self._training_pairs(data))
            formula = Formula(1.0, fit.slope, fit.intercept)
            path.write_text(json.dumps(asdict(formula)), encoding="utf-8")
        return Formula(**json.loads(path.read_text(encoding="utf-8")))

    def _training_pairs(self, data: Path) -> tuple[calibration.Pairs, NDArray[np.float32]]:
        pairs = calibration.sample(data)
        places: defaultdict[int, list[int]] = defaultdict(list)
        for place, question in enumerate(pairs.question):
            places[int(question)].append(place)
        lists = {
            str(question): (pairs.texts[own[0]][0], [pairs.texts[place][1] for place in own])
            for question, own in places.items()
        }
        parts = by_text.score(self.encode, by_text.tokenize(self.tokenizer, lists))
        relevance = np.empty(len(pairs.texts), np.float32)
        for question, own in places.items():
            relevance[own] = parts[str(question)].cosine + parts[str(question)].match
        return pairs, relevance
