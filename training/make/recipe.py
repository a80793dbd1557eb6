"""Makes the weights of a bundled model, stage by stage.

    python recipe.py small --data <folder of the training files> --out <folder>
    python recipe.py nano --data <the same> --out <the same>

`nano` learns from `small`. Every file of `--out` that is there is kept, and training goes on from
its last checkpoint.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from data import read
from distil import Distillation
from encode import FINISHED, MODEL, encode, load_tokenizer
from encoder import tokenize
from files import CACHE, RECIPE, read_recipe
from gather import gather, read_lines
from late_interaction import WORTH, State
from mine import mine
from nano import nano
from student import small
from teachers import START, TEACHERS, fetch, read_state
from train import train
from worth import worth

STAGES = ("gather", "encode", "mine", "train", "finish")
MODELS = ("small", "nano")
# For `nano`: texts whose tokens decide what is left of words and neurons.
_SAMPLE = 512


def main() -> None:
    """Run the stages."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=MODELS)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--config", type=Path, default=RECIPE)
    arguments.add_argument("--cache", type=Path, default=CACHE)
    arguments.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    arguments.add_argument("--steps", type=int, help="end training after this many")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")

    out, cache = options.out, options.cache
    config = read_recipe(options.config)
    settings = config["train"] | config[options.model]
    limits = config["limits"]
    if "gather" in options.stages and not (out / "passages.jsonl").exists():
        gather(config["gather"], config["seed"], options.data, cache, out)
    if "encode" in options.stages:
        encode(settings["teachers"], limits, config["encode"]["batch_tokens"], cache, out)
    if "mine" in options.stages and not (out / "candidates.npy").exists():
        mine(config["mine"], out)
    if "train" in options.stages:
        data = read(settings["teachers"], limits, cache, out)
        share = config["formula"]["share"]
        if options.model == "small":
            student = small(cache, settings, share)
        else:
            trained = out / "small" / FINISHED
            student = nano(trained, settings, data.passage_ids[:_SAMPLE], share)
        distillation = Distillation(data, settings, config["formula"], config["seed"])
        train(student, distillation, config["seed"], options.steps, out / options.model)
    if "finish" in options.stages:
        ids = tokenize(
            load_tokenizer(cache),
            [line["text"] for line in read_lines(out / "passages.jsonl")],
            limit=limits["passages"],
        )
        state = load_file(out / options.model / MODEL)
        if "blend" in settings:
            start = read_state(fetch(START, cache), TEACHERS[START])
            state = blended(start, state, settings["blend"])
        state[WORTH] = worth(ids, config["formula"]["power"])
        save_file(state, out / options.model / FINISHED)


def blended(start: State, trained: State, share: float) -> dict[str, NDArray[np.float32]]:
    """The weights that are a `share` of the way from those at the start to the trained ones.

    What training took away from texts unlike its own comes back: M. Wortsman and others, "Robust
    fine-tuning of zero-shot models", CVPR 2022.
    """
    return {
        name: np.asarray(start[name] + share * (value - start[name]), np.float32)
        for name, value in trained.items()
    }


if __name__ == "__main__":
    main()
