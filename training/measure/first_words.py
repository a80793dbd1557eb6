"""How well a model finds what begins with the words that are asked for.

    python first_words.py [resift-small] [resift-nano] [<folder>]...

Two measures, of texts that no model was trained on: how many of the sentences in
`resift.testing.late_interaction` are found by their first word, and the mean reciprocal rank of
docstrings of the standard library, each asked for by its first two words among all others. Where
several begin with the same two words, none of them is asked for.
"""

import argparse
import importlib
import inspect
import logging
import platform
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.util import find_spec

import numpy as np

from made import sentences_found
from resift import Reranker
from resift.testing.late_interaction import SENTENCES

# What importing them opens or prints.
SKIPPED = {"antigravity", "idlelib", "this", "turtle", "turtledemo"}
LEAST_WORDS = 4
QUERIES = 30
SEED = 0

log = logging.getLogger("first_words")


def docstrings() -> list[str]:
    """First paragraphs of the docstrings of public classes and functions, each once."""
    names = sorted(name for name in sys.stdlib_module_names if name[0] != "_")
    found = (text for name in names for text in _docstrings(name))
    return [text for text in dict.fromkeys(found) if len(text.split()) >= LEAST_WORDS]


def _docstrings(module: str) -> Iterator[str]:
    # Some are for other systems.
    if module in SKIPPED or find_spec(module) is None:
        return
    try:
        imported = importlib.import_module(module)
    except ImportError as error:
        log.info("without %s: %s", module, error)
        return
    for name, value in vars(imported).items():
        if not name.startswith("_") and (inspect.isroutine(value) or inspect.isclass(value)):
            paragraph, _, _ = (inspect.getdoc(value) or "").partition("\n\n")
            yield " ".join(paragraph.split())


def openings(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Queries of two words, each with the place of the one text that begins with them."""
    firsts = [" ".join(text.split()[:2]) for text in texts]
    counts = Counter(first.lower() for first in firsts)
    alone = [(first, place) for place, first in enumerate(firsts) if counts[first.lower()] == 1]
    return random.Random(SEED).sample(alone, min(QUERIES, len(alone)))


def reciprocal_rank(reranker: Reranker, texts: Sequence[str]) -> float:
    """The mean over `openings`; equal scores count against the text that is wanted."""
    ranks = []
    for query, place in openings(texts):
        scores = np.array(reranker.score(query, texts))
        ranks.append(1 / int((scores >= scores[place]).sum()))
    return float(np.mean(ranks))


def main() -> None:
    """Print both measures for each model."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("models", nargs="*", default=["resift-small", "resift-nano"])
    arguments.add_argument("--precision")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    texts = docstrings()
    log.info("%d docstrings of Python %s", len(texts), platform.python_version())
    for model in options.models:
        reranker = Reranker(model, precision=options.precision, normalization="none")
        log.info(
            "%s: %d of %d sentences, docstrings %.3f",
            model,
            sentences_found(reranker),
            len(SENTENCES),
            reciprocal_rank(reranker, texts),
        )


if __name__ == "__main__":
    main()
