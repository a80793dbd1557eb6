"""First stages reranked: what each reranker adds to each, by the weight of the order given.

    python benchmarks/first_stages.py <archive.tar.gz>... --data <folder of the training files>

See benchmarks/README.md.
"""

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).with_suffix("")))
sys.path.append(str(Path(__file__).parents[1] / "training/measure"))

from cells import Pair, cell
from collection import Collection, read
from drawing import draw
from encoders import PUBLISHED, SHIPPED, Model
from lists import Logits, first_stages
from made import BUNDLED, CACHE, read_card, write_json
from tables import tables

OUT = Path(__file__).parent / "results/first-stages"
log = logging.getLogger("first_stages")


def main() -> None:
    """Measure every first stage of every archive with every reranker."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archives", nargs="+", type=Path)
    arguments.add_argument("--data", type=Path, required=True, help="folder of the training files")
    arguments.add_argument("--encoders", nargs="+", choices=PUBLISHED, default=[*PUBLISHED])
    arguments.add_argument("--queries", type=int, help="measure a seeded sample of this many")
    arguments.add_argument("--cache", type=Path, default=CACHE, help="of downloads and vectors")
    arguments.add_argument("--out", type=Path, default=OUT, help="without the suffixes")
    arguments.add_argument("--threads", type=int, default=2)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    models = {
        name: Model(name, options.cache, threads=options.threads)
        for name in (*SHIPPED, *options.encoders)
    }
    weights = cards()
    results: dict[str, Any] = {"weights": weights, "collections": {}}
    for archive in options.archives:
        collection = read(archive)
        found = measure_collection(collection, models, weights, options)
        results["collections"][collection.name] = found
        # After each, so that a run that is stopped leaves what it has.
        write_json(options.out.with_suffix(".json"), results)
        options.out.with_suffix(".md").write_text(tables(results), encoding="utf-8")
    draw(results, options.out.with_suffix(".svg"))


def cards() -> dict[str, float | None]:
    """The weight on each card; published encoders have that of `resift-small`."""
    own = {name: read_card(BUNDLED / name).get("prior", {}).get("place_weight") for name in SHIPPED}
    return own | dict.fromkeys(PUBLISHED, own[SHIPPED[0]])


def measure_collection(
    collection: Collection,
    models: dict[str, Model],
    weights: dict[str, float | None],
    options: argparse.Namespace,
) -> dict[str, Any]:
    """The figures by first stage and reranker."""
    pooled = {name: models[name].matrices(collection).pooled for name in options.encoders}
    stages = first_stages(collection, pooled)
    queries = collection.sample(options.queries)
    found: dict[str, Any] = {name: {} for name in stages}
    for name, model in models.items():
        logits = Logits(model, collection, options.data)
        logits.cut_as_pairs(list(stages.values()), options.cache)
        for stage, lists in stages.items():
            by_query = {query: logits.of(query, lists[query]) for query in queries}
            found[stage][name] = cell(Pair(collection, lists, by_query), weights[name])
        log.info("%s: %s", collection.name, name)
    return {"queries": len(queries), "first_stages": found}


if __name__ == "__main__":
    main()
