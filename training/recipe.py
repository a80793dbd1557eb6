"""Makes the weights of `resift-small`, stage by stage.

    python recipe.py --data <folder of the training files> --out <folder> [--stages gather train]

What a stage has finished isn't done again unless it is named in `--stages`; training goes on from
its last checkpoint.
"""

import argparse
import logging
import tomllib
from pathlib import Path

from gather import gather

HERE = Path(__file__).parent
STAGES = ("gather", "encode", "mine", "train")
log = logging.getLogger("recipe")


def main() -> None:
    """Run the stages."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--config", type=Path, default=HERE / "small.toml")
    arguments.add_argument("--cache", type=Path, default=HERE / ".cache")
    arguments.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    arguments.add_argument("--steps", type=int, help="end training after this many")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")

    config = tomllib.loads(options.config.read_text(encoding="utf-8"))
    limits = {
        "queries": config["gather"]["query_tokens"],
        "passages": config["gather"]["document_tokens"],
    }
    if "gather" in options.stages:
        gather(config["gather"], config["seed"], options.data, options.cache, options.out)
    if "encode" in options.stages:
        from encode import encode

        encode(config["encode"], limits, options.cache, options.out)
    if "mine" in options.stages:
        from mine import mine

        mine(config["mine"], config["encode"]["teachers"], options.out)
    if "train" in options.stages:
        from distil import train

        train(config, limits, options.cache, options.out, options.steps)


if __name__ == "__main__":
    main()
