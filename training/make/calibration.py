"""Fits the slope and intercept of the logit on training pairs.

Each data set gives the same number of questions; each question gives its own passage, two passages
that BM25 ranks high for it, and one drawn at random. Positives and negatives weigh the same in sum,
and so do the data sets: the sigmoid is the probability of relevance at even odds.
"""

import gzip
import json
import random
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

HARD_NEGATIVES = 2
RANDOM_NEGATIVES = 1
DEPTH = 30
QUESTIONS = 1800
SEED = 0
HELD_OUT = 5  # every fifth question is for the report, not for the fit

Record = dict[str, Any]


def _squad(record: Record) -> Iterator[tuple[str, str]]:
    for question in record["qas"]:
        yield question["q"], record["context"]


def _passage(record: Record) -> Iterator[tuple[str, str]]:
    yield record["q"], record["pos"]


def _piaf(record: Record) -> Iterator[tuple[str, str]]:
    for question in record["qs"]:
        yield question, record["pos"]


Reader = Callable[[Record], Iterator[tuple[str, str]]]
_NAMES = {
    "en_squad_train": "SQuAD 1.1 train",
    "en_nq_oracle": "Natural Questions open",
    "en_medquad": "MedQuAD",
    "de_klexikon_sections": "Klexikon",
    "de_mdn": "MDN in German",
    "fr_piaf": "PIAF",
    "fr_php": "PHP's manual in French",
}
SETS: dict[str, Reader] = {
    "en_squad_train": _squad,
    "en_nq_oracle": _passage,
    "en_medquad": _passage,
}
MULTILINGUAL: dict[str, Reader] = {
    "en_squad_train": _squad,
    "en_nq_oracle": _passage,
    "de_klexikon_sections": _passage,
    "de_mdn": _passage,
    "fr_piaf": _piaf,
    "fr_php": _passage,
}


@dataclass(frozen=True)
class Pairs:
    """Labelled pairs. `question` numbers the question that a pair belongs to."""

    texts: list[tuple[str, str]]
    relevant: NDArray[np.bool_]
    question: NDArray[np.int64]
    data_set: NDArray[np.str_]


@dataclass(frozen=True)
class Fit:
    """`sigmoid(slope * relevance + intercept)`, and how well it does on held-out questions.

    log_loss: in nats, classes and data sets weighing the same (0.693 is a coin).
    calibration_error: mean |probability - frequency| over ten equal bins, with the same weights.
    """

    slope: float
    intercept: float
    pairs: int
    log_loss: float
    calibration_error: float


def named(sets: Sequence[str]) -> str:
    """The data sets that training files are from, as a card lists them."""
    *others, last = (_NAMES[each] for each in sets)
    return f"{', '.join(others)} and {last}"


def known_pairs(folder: Path, name: str) -> list[tuple[str, str]]:
    """The questions and passages of a training file in `folder` (`<name>.jsonl.gz`)."""
    read = (SETS | MULTILINGUAL)[name]
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [pair for line in lines for pair in read(json.loads(line))]


def sample(folder: Path, sets: Sequence[str] = tuple(SETS)) -> Pairs:
    """Draw the pairs from the training files in `folder`: `QUESTIONS`, of each set as many."""
    rng = random.Random(SEED)
    texts: list[tuple[str, str]] = []
    relevant: list[bool] = []
    question: list[int] = []
    data_set: list[str] = []
    for name in sets:
        known = known_pairs(folder, name)
        passages = list(dict.fromkeys(passage for _, passage in known))
        answers: defaultdict[str, set[str]] = defaultdict(set)
        for query, passage in known:
            answers[query].add(passage)
        chosen = rng.sample(known, QUESTIONS // len(sets))
        ranked = bm25(passages, [query for query, _ in chosen], DEPTH)
        for (query, passage), candidates in zip(chosen, ranked, strict=True):
            hard = [text for text in candidates if text not in answers[query]]
            other = [text for text in rng.sample(passages, 20) if text not in answers[query]]
            negatives = rng.sample(hard, HARD_NEGATIVES) + other[:RANDOM_NEGATIVES]
            number = question[-1] + 1 if question else 0
            for index, text in enumerate([passage, *negatives]):
                texts.append((query, text))
                relevant.append(index == 0)
                question.append(number)
                data_set.append(name)
    return Pairs(texts, np.array(relevant), np.array(question), np.array(data_set))


def bm25(passages: Sequence[str], queries: Sequence[str], depth: int) -> list[list[str]]:
    """The `depth` of the passages that BM25 ranks highest for each query."""
    index = bm25s.BM25()
    index.index(bm25s.tokenize(list(passages), show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(list(queries), show_progress=False)
    rows, _ = index.retrieve(tokens, k=depth, show_progress=False)
    return [[passages[row] for row in ranked] for ranked in rows]


def fit(pairs: Pairs, relevance: NDArray[np.float32]) -> Fit:
    """Logistic regression of `pairs.relevant` on `relevance` (float32 `[pairs]`)."""
    held_out = pairs.question % HELD_OUT == 0
    weight = _weights(pairs)
    scores = relevance.astype(np.float64)
    slope, intercept = _newton(
        scores[~held_out], pairs.relevant[~held_out], weight[~held_out] / weight[~held_out].sum()
    )
    # Rounded, so that another machine's last bits don't change the model's bytes.
    slope, intercept = round(slope, 3), round(intercept, 3)
    probability = _sigmoid(slope * scores[held_out] + intercept)
    relevant, weight = pairs.relevant[held_out], weight[held_out] / weight[held_out].sum()
    right = np.where(relevant, probability, 1 - probability)
    bins = np.minimum((probability * 10).astype(int), 9)
    error = sum(
        abs(float((weight * (probability - relevant))[bins == number].sum()))
        for number in range(10)
    )
    return Fit(
        slope,
        intercept,
        int((~held_out).sum()),
        round(float(-(weight * np.log(right)).sum()), 3),
        round(error, 3),
    )


def _weights(pairs: Pairs) -> NDArray[np.float64]:
    weight = np.zeros(len(pairs.texts))
    for name in np.unique(pairs.data_set):
        for label in (False, True):
            group = (pairs.data_set == name) & (pairs.relevant == label)
            weight[group] = 1 / group.sum()
    return weight


def _newton(
    scores: NDArray[np.float64], relevant: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float]:
    features = np.stack([scores, np.ones_like(scores)], axis=1)
    parameters = np.zeros(2)
    for _ in range(50):
        probability = _sigmoid(features @ parameters)
        gradient = features.T @ (weight * (probability - relevant))
        curvature = weight * probability * (1 - probability)
        step = np.linalg.solve(features.T @ (curvature[:, None] * features), gradient)
        parameters -= step
        if np.abs(step).max() < 1e-10:
            break
    slope, intercept = parameters
    return float(slope), float(intercept)


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-values))
    return probability
