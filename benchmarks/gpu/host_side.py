"""The host alone: how many tokens a second are tokenized and collated, which bounds any GPU."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pydoc_data.topics import topics
from typing import Any

from arguments import processors
from environments import ROOT
from gpu_loads import MAX_LENGTH

from resift.text.batch import Pair
from resift.text.batching import plan_batches
from resift.text.tokenizer import PairTokenizer

TOKENIZERS = {
    "WordPiece, resift-small": "src/resift/bundled/resift-small",
    "Unigram, resift-multilingual": (
        "models/resift-multilingual/src/resift_multilingual/resift-multilingual"
    ),
}
"""Folders of real vocabularies, by kind."""
_PASS = 16_384
"""Tokens of a pass, as on a GPU by default."""
_WORDS = 200
_WORKERS = 2
"""Threads that collate, as there are for a GPU."""


def measure(
    pairs: int, rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """Tokens a second of each step, by tokenizer; medians, the first round not counted."""
    query, documents = "How are objects compared?", passages(pairs)
    tokenizers = {
        name: PairTokenizer(ROOT / folder / "tokenizer.json", pad_token_id=0)
        for name, folder in TOKENIZERS.items()
    }
    seconds: dict[str, list[dict[str, float]]] = {name: [] for name in tokenizers}
    tokens = {}
    for number in range(rounds + 1):
        for name, tokenizer in tokenizers.items():
            tokens[name], took = _once(tokenizer, query, documents, clock)
            if number:
                seconds[name].append(took)
    return {
        "processors": processors(),
        "pairs": pairs,
        "characters": sum(map(len, documents)),
        "kinds": {name: _rates(tokens[name], found) for name, found in seconds.items()},
    }


def passages(count: int) -> list[str]:
    """English passages of 200 words each, from Python's own help, as often as it takes."""
    words = " ".join(topics[name] for name in sorted(topics)).split()
    starts = range(0, len(words) - _WORDS, _WORDS)
    found = [" ".join(words[start : start + _WORDS]) for start in starts]
    return (found * math.ceil(count / len(found)))[:count]


def _once(
    tokenizer: PairTokenizer, query: str, documents: list[str], clock: Callable[[], float]
) -> tuple[int, dict[str, float]]:
    start, busy = clock(), time.process_time()
    read = tokenizer.tokenize(query, documents, max_length=MAX_LENGTH, long_documents="truncate")
    pairs = [Pair(read.query, window) for text in read.texts for window in text.windows]
    tokenized, busy = clock(), time.process_time() - busy
    lengths = [tokenizer.length(pair) for pair in pairs]
    batches = [[pairs[at] for at in batch] for batch in plan_batches(lengths, _PASS)]
    planned = clock()
    for batch in batches:
        tokenizer.collate(batch)
    collated = clock()
    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(tokenizer.collate, batches))
    return sum(lengths), {
        "tokenize": tokenized - start,
        # Other work on this machine doesn't change it much.
        "tokenize, by a core's time": busy,
        "collate": collated - planned,
        "collate by two threads": clock() - collated,
        "all": collated - start,
    }


def _rates(tokens: int, rounds: list[dict[str, float]]) -> Mapping[str, Any]:
    return {
        "tokens": tokens,
        "a_second": {
            name: tokens / statistics.median(each[name] for each in rounds) for name in rounds[0]
        },
    }
