"""How was chosen what a query's words count.

    python choose.py --out <folder of the recipe> --encoder minilm

prints the mean reciprocal rank of queries' own passages, among their mined candidates, for each
power of the inverse document frequency and each share of the cosine. `minilm` has learned from none
of the queries, so all of them may be asked; of an encoder that was trained here, `--held-out`.
"""

import argparse
import logging
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data import Data, read
from encoder import inner
from files import CACHE, read_recipe
from worth import POWERS, SHARES, worth

_QUERIES = 1500

log = logging.getLogger("choose")


def ranks(data: Data, numbers: Sequence[int]) -> dict[tuple[float, float], float]:
    """The mean reciprocal rank by power and share."""
    ((asked, held),) = data.teachers
    weights = {power: worth(data.passage_ids, power) for power in POWERS}
    found: dict[tuple[float, float], list[float]] = {}
    for number in numbers:
        query = asked.texts([number], "cpu")
        passages = held.texts([*data.own(number), *data.mined(number)], "cpu")
        cosine = (query.pooled @ passages.pooled.T)[0].numpy()
        matches = query.vectors[0] @ passages.vectors.transpose(1, 2)
        matches = matches.masked_fill(~passages.present[:, None], -1).amax(dim=2)
        asking = inner(query.present)[0].numpy()
        best = matches.numpy()[:, asking]
        ids = np.array(data.query_ids[number])[asking]
        for power, values in weights.items():
            mean = np.average(best, axis=1, weights=values[ids]) if len(ids) else 0.0
            for share in SHARES:
                scores = share * cosine + mean
                rank = 1 + int((scores[1:] >= scores[0]).sum())
                found.setdefault((power, share), []).append(1 / rank)
    return {key: float(np.mean(values)) for key, values in found.items()}


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--encoder", default="minilm")
    arguments.add_argument("--held-out", action="store_true")
    arguments.add_argument("--cache", type=Path, default=CACHE)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_recipe()
    data = read([options.encoder], config["limits"], options.cache, options.out)
    numbers = [
        n
        for n, each in enumerate(data.queries)
        if data.own(n) and (each["held_out"] or not options.held_out)
    ]
    numbers = random.Random(config["seed"]).sample(numbers, min(_QUERIES, len(numbers)))
    table = ranks(data, numbers)
    log.info("power  " + "  ".join(f"share {share:4}" for share in SHARES))
    for power in POWERS:
        log.info("%5.1f  %s", power, "  ".join(f"{table[power, share]:10.4f}" for share in SHARES))


if __name__ == "__main__":
    main()
