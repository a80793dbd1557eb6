"""Makes a bundled model's files from the weights that `recipe.py` finished.

    python build.py small --weights <finished.safetensors> --data <folder of the training files>
    python build.py small --measured

The second puts measured.json into the card of what was built.
"""

import argparse
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors.numpy import load_file

import calibration
from card import metrics
from describe import describe
from files import CACHE, GRAPHS, TOKENIZER, WEIGHTS, read_card, read_formula, write_json
from late_interaction import WORTH, Scorer, State, build
from resift.models.store.manifest import sha256
from resift.text.tokenizer import PairTokenizer
from scoring import WINDOW, OnnxScorer, load_tokenizer
from shipped import CalibrationPairs, in_float32, in_int8, write
from table import MODELS
from teachers import fetch

HEADS = 12
EPSILON = 1e-12

log = logging.getLogger("build")


def main() -> None:
    """Fit, build, verify and write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=tuple(MODELS))
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--data", type=Path, help="folder of the training files")
    arguments.add_argument("--measured", action="store_true")
    arguments.add_argument("--out", type=Path, help="where the model belongs unless given")
    arguments.add_argument("--cache", type=Path, default=CACHE, help="of downloads")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out or MODELS[options.model].folder
    if options.measured:
        write_json(out / "card.json", read_card(out) | {"metrics": metrics(options.model)})
        return
    if options.weights is None or options.data is None:
        arguments.error("expected --weights and --data, or --measured")
    make(options.model, options.weights, options.data, options.cache, out)


def make(model: str, weights: Path, data: Path, cache: Path, out: Path) -> None:
    """Write every file of the model to `out`, from its finished `weights`."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer_path = out / TOKENIZER
    # Where words were chosen, the tokenizer is beside the weights.
    source = weights.parent / TOKENIZER
    if not source.exists():
        source = fetch(MODELS[model].start, cache) / TOKENIZER
    write_tokenizer(json.loads(source.read_text(encoding="utf-8")), tokenizer_path)
    tokenizer = load_tokenizer(tokenizer_path)
    pad = next(
        found for found in map(tokenizer.token_to_id, ("[PAD]", "<pad>")) if found is not None
    )

    state = load_file(weights)
    scorer = unfitted(state, read_formula(model)["share"])
    pairs = calibration.sample(data, MODELS[model].sets)
    log.info("scoring %d pairs for the fit", len(pairs.texts))
    relevance = OnnxScorer(build(state, scorer).SerializeToString(), tokenizer)(pairs.texts)
    fit = calibration.fit(pairs, relevance)
    log.info("%s", fit)

    exact = build(state, replace(scorer, slope=fit.slope, intercept=fit.intercept))
    paths = {name: out / file for name, file in GRAPHS.items()}
    int8 = in_int8(
        exact,
        CalibrationPairs(PairTokenizer(tokenizer_path, pad_token_id=pad), pairs.texts, WINDOW),
    )
    write({paths["int8"]: int8, paths["fp32"]: in_float32(int8)}, out / WEIGHTS)
    write_json(out / "config.json", config(state, pad))
    describe(model, sha256(weights), fit, pairs, out)


def unfitted(state: State, share: float) -> Scorer:
    """The scorer of a finished `state`, whose logit is the bare relevance."""
    return Scorer(
        heads=HEADS,
        layers=sum(name.endswith("intermediate.dense.bias") for name in state),
        epsilon=EPSILON,
        share=share,
    )


def write_tokenizer(tokenizer: dict[str, Any], path: Path) -> None:
    """Write the encoder's tokenizer, whose pairs are two texts as the encoder knows them.

    Without truncation and padding: both are the caller's to choose.
    """
    begin, _, end = (
        each.get("SpecialToken", {}).get("id") for each in tokenizer["post_processor"]["single"]
    )
    pair = [
        piece
        for text, kind in (("A", 0), ("B", 1))
        for piece in (
            {"SpecialToken": {"id": begin, "type_id": kind}},
            {"Sequence": {"id": text, "type_id": kind}},
            {"SpecialToken": {"id": end, "type_id": kind}},
        )
    ]
    joined = tokenizer["post_processor"] | {"pair": pair}
    compact = tokenizer | {"truncation": None, "padding": None, "post_processor": joined}
    text = json.dumps(compact, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def config(state: State, pad: int) -> dict[str, Any]:
    """`config.json` as transformers writes it for a pair model with one logit."""
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": len(state["embeddings.LayerNorm.bias"]),
        "intermediate_size": len(state["encoder.layer.0.intermediate.dense.bias"]),
        "layer_norm_eps": EPSILON,
        "max_position_embeddings": len(state["embeddings.position_embeddings.weight"]),
        "num_attention_heads": HEADS,
        "num_hidden_layers": unfitted(state, 1.0).layers,
        "pad_token_id": pad,
        "type_vocab_size": len(state["embeddings.token_type_embeddings.weight"]),
        "vocab_size": len(state[WORTH]),
        "num_labels": 1,
        "id2label": {"0": "relevance"},
        "label2id": {"relevance": 0},
        "resift": {"scorer": "late_interaction"},
    }


if __name__ == "__main__":
    main()
