"""Makes a model's weights of a published encoder as it is, without training.

    python published.py base --data <folder of the training files> --out <folder>
    python published.py multilingual --data <the same> --out <the same>
    python published.py multilingual --data <the same> --out <the same> --choose

Writes `finished.safetensors` and `tokenizer.json` to a folder of `--out`: the encoder's, with what
words are worth, and of `multilingual` with the words that its languages need. What words are worth
comes from passages of the training files, and for `base` from those of the stage `gather`, which
has to be run before.

`--choose` prints the mean nDCG@10 of questions from the training files, over what BM25 finds for
them, by power of the inverse document frequency and by share of the cosine.
"""

import argparse
import json
import logging
import random
import re
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import Tokenizer

import by_text
import calibration
import words
from build import unfitted, write_tokenizer
from files import CACHE, RECIPE, TOKENIZER, read_recipe
from gather import fetch_wheel, read_lines
from late_interaction import WORTH, State, build
from packed import read_packed
from resift.evaluation.measures import in_order, ndcg
from resift.text.tokenizer import PairTokenizer
from shipped_encoder import encoder_of
from table import MODELS
from teachers import PUBLISHED, fetch, read_state
from worth import POWERS, SHARES, worth

LENGTH = 160
DEPTH = 15
QUESTIONS = 360
# The package of the recipe with messages in Italian.
_ITALIAN = re.compile(r"/locale/it/LC_MESSAGES/\w+\.po$")
_MESSAGE = re.compile(r'^msgstr(?:\[\d\])? "(.*)"$|^"(.*)"$', re.MULTILINE)

log = logging.getLogger("published")


class Finished(NamedTuple):
    """state: with what words are worth."""

    state: State
    tokenizer: Tokenizer
    passage_ids: list[list[int]]


class Question(NamedTuple):
    """One of a training file, with what BM25 finds, and which of it answers."""

    file: str
    text: str
    passages: list[str]
    relevant: list[bool]


def main() -> None:
    """Write the files, or print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=("base", "multilingual"))
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--out", type=Path, required=True)
    arguments.add_argument("--config", type=Path, default=RECIPE)
    arguments.add_argument("--cache", type=Path, default=CACHE)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--choose", action="store_true")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = read_recipe(options.config)
    settings = config["formula"] | config[options.model]
    if options.model == "base":
        finished = base(settings, options.out, options.cache)
    else:
        finished = multilingual(settings, options.data, options.cache)
    folder = options.out / options.model
    folder.mkdir(parents=True, exist_ok=True)
    finished.tokenizer.save(str(folder / TOKENIZER))
    save_file(dict(finished.state), folder / "finished.safetensors")
    if options.choose:
        questions = sample(options.data, MODELS[options.model].sets)
        log.info("%s", table(finished, questions, folder, options.threads))


def base(settings: dict[str, Any], out: Path, cache: Path) -> Finished:
    """The encoder whose words are those of the other models."""
    name = MODELS["base"].start
    folder = fetch(name, cache)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    texts = [line["text"] for line in read_lines(out / "passages.jsonl")]
    return _finish(read_state(folder, PUBLISHED[name]), tokenizer, texts, settings)


def multilingual(settings: dict[str, Any], data: Path, cache: Path) -> Finished:
    """The encoder with the words of four languages."""
    name = MODELS["multilingual"].start
    packed = read_packed(fetch(name, cache) / PUBLISHED[name].weights)
    whole = words.make_tokenizer(packed.pieces)
    known = {each: calibration.known_pairs(data, each) for each in MODELS["multilingual"].sets}
    used = {language: words.count(whole, []) for language in settings["least"]}
    for file, pairs in known.items():
        used[file[:2]].update(words.count(whole, (text for pair in pairs for text in pair)))
    used["it"].update(words.count(whole, italian(cache)))
    kept = words.choose(packed.pieces, used, settings["least"], settings["words"])
    for language, counts in used.items():
        share = sum(counts[each] for each in kept) / counts.total()
        log.info("%s: %.4f of the tokens are kept", language, share)
    cut = words.cut(packed, kept)
    tokenizer = words.make_tokenizer(cut.pieces)
    texts = [
        text for pairs in known.values() for text in some_passages(pairs, settings["passages"])
    ]
    return _finish(cut.state, tokenizer, texts, settings)


def _finish(
    state: State, tokenizer: Tokenizer, texts: Sequence[str], settings: dict[str, Any]
) -> Finished:
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    ids = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
    tokenizer.no_truncation()
    value = worth(ids, settings["power"], tokenizer.get_vocab_size())
    return Finished({**state, WORTH: value}, tokenizer, ids)


def italian(cache: Path) -> Iterator[str]:
    """The messages of a package of the recipe, in Italian."""
    (requirement,) = (
        each for each in read_recipe()["gather"]["packages"] if each.startswith("django==")
    )
    with zipfile.ZipFile(fetch_wheel(requirement, cache)) as archive:
        for name in sorted(filter(_ITALIAN.search, archive.namelist())):
            for match in _MESSAGE.finditer(archive.read(name).decode()):
                yield match[1] or match[2] or ""


def some_passages(pairs: Sequence[tuple[str, str]], count: int) -> list[str]:
    """At most `count` different passages, the same ones each time."""
    passages = list(dict.fromkeys(passage for _, passage in pairs))
    return random.Random(calibration.SEED).sample(passages, min(count, len(passages)))


def sample(data: Path, sets: Sequence[str]) -> list[Question]:
    """`QUESTIONS` of the training files, of each as many."""
    found: list[Question] = []
    for name in sets:
        pairs = calibration.known_pairs(data, name)
        answers: dict[str, set[str]] = {}
        for query, passage in pairs:
            answers.setdefault(query, set()).add(passage)
        passages = list(dict.fromkeys(passage for _, passage in pairs))
        asked = random.Random(f"choose {name}").sample(list(answers), QUESTIONS // len(sets))
        for query, listed in zip(asked, calibration.bm25(passages, asked, DEPTH), strict=True):
            found.append(Question(name, query, listed, [each in answers[query] for each in listed]))
    return found


def table(finished: Finished, questions: Sequence[Question], folder: Path, threads: int) -> str:
    """nDCG@10 by power and share, files weighing the same, in Markdown."""
    path = folder / "pairs.json"
    write_tokenizer(json.loads(finished.tokenizer.to_str()), path)
    tokenizer = PairTokenizer(path, pad_token_id=0)
    graph = encoder_of(build(finished.state, unfitted(finished.state, 1.0)))
    encoder = by_text.Encoder(graph.SerializeToString(), tokenizer, threads=threads)
    vectors: dict[bytes, NDArray[np.float16]] = {}

    def encode(ids: NDArray[np.int32]) -> by_text.Vectors:
        key = ids.tobytes()
        if key not in vectors:
            vectors[key] = encoder(ids[:LENGTH]).astype(np.float16)
        return vectors[key].astype(np.float32)

    lists = {str(n): (each.text, each.passages) for n, each in enumerate(questions)}
    listed = by_text.tokenize(tokenizer, lists)
    rows = [f"| power | {' | '.join(f'share {share}' for share in SHARES)} |"]
    rows.append("|---" * (len(SHARES) + 1) + "|")
    for power in POWERS:
        value = worth(finished.passage_ids, power, len(finished.state[WORTH]))
        parts = by_text.score(encode, listed, value)
        cells = [f"{_mean(questions, parts, share):.4f}" for share in SHARES]
        rows.append(f"| {power} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _mean(questions: Sequence[Question], parts: dict[str, by_text.Parts], share: float) -> float:
    """Over questions that BM25 finds an answer for."""
    by_file: dict[str, list[float]] = {}
    for number, each in enumerate(questions):
        if any(each.relevant):
            found = parts[str(number)]
            order = in_order(share * found.cosine + found.match)
            grades = np.array(each.relevant, np.float64)[order]
            by_file.setdefault(each.file, []).append(ndcg(grades, grades, gains="linear"))
    return float(np.mean([np.mean(values) for values in by_file.values()]))


if __name__ == "__main__":
    main()
