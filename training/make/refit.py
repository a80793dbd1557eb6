"""Puts a bundled model into today's layout: its weights as they are, its logit fitted anew.

    python refit.py small --data <folder with the training files> --old <folder of the model>

How `resift-small` and `resift-nano` 0.5.0 were made from 0.4.0: the pair template, slope,
intercept, golden pairs and card are new, and everything else is copied.
"""

import argparse
import json
import logging
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

import calibration
from build import write_tokenizer
from describe import describe
from files import BUNDLED, GRAPHS, WEIGHTS, read_card
from scoring import OnnxScorer, load_tokenizer

log = logging.getLogger("refit")


def main() -> None:
    """Copy, fit, and write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=("small", "nano"))
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--old", type=Path, required=True)
    arguments.add_argument("--out", type=Path, help="the bundled folder unless given")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out or BUNDLED / f"resift-{options.model}"
    out.mkdir(parents=True, exist_ok=True)
    graphs = (GRAPHS["int8"], GRAPHS["fp32"])
    for name in ("config.json", WEIGHTS, *graphs):
        shutil.copyfile(options.old / name, out / name)
    old = json.loads((options.old / "tokenizer.json").read_text(encoding="utf-8"))
    write_tokenizer(old, out / "tokenizer.json")
    before = read_card(options.old)

    slope, intercept = (before["calibration"][name] for name in ("slope", "intercept"))
    pairs = calibration.sample(options.data)
    logits = OnnxScorer(out / GRAPHS["fp32"], load_tokenizer(out / "tokenizer.json"))(pairs.texts)
    fit = calibration.fit(pairs, ((logits - intercept) / slope).astype(np.float32))
    log.info("%s", fit)
    for name in graphs:
        set_line(out / name, (slope, intercept), (fit.slope, fit.intercept))
    describe(options.model, before["weights_sha256"], fit, pairs, out)


def set_line(path: Path, old: tuple[float, float], new: tuple[float, float]) -> None:
    """Change slope and intercept in the graph at `path`: the operands of its last two nodes.

    Raises `ValueError` where they aren't the `old` ones.
    """
    model = onnx.load(str(path), load_external_data=False)
    constants = {each.name: each for each in model.graph.initializer}
    for node, was, value in zip(model.graph.node[-2:], old, new, strict=True):
        constant = constants[next(name for name in node.input if name in constants)]
        if numpy_helper.to_array(constant) != np.float32(was):
            raise ValueError(f"{path}: expected {was} in {node.name}, found another number")
        users = [each for each in model.graph.node if constant.name in each.input]
        if len(users) > 1:
            raise ValueError(f"{path}: {constant.name} is used {len(users)} times, expected once")
        constant.CopyFrom(numpy_helper.from_array(np.array(value, np.float32), constant.name))
    path.write_bytes(model.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
