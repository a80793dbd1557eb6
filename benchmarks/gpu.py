"""Ours and others' rerankers on one GPU: random weights, one run, alternating, medians.

    python benchmarks/gpu.py

Needs resift[torch], FlagEmbedding and sentence-transformers in one environment. Without a GPU it
says so and ends well; ``--device cpu`` compares on the CPU, in float32. Models of the shapes of
bge-reranker-v2-m3 and bge-reranker-base are made in a temporary folder.
"""

from __future__ import annotations

import argparse
import gc
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

MAX_LENGTH = 512
# <s> query </s></s> document </s>
SPECIALS = 4


class Shape(NamedTuple):
    """An XLM-R encoder."""

    hidden: int
    layers: int
    heads: int
    inner: int

    def flop(self, lengths: Sequence[int]) -> float:
        """Of matrix products, for pairs of these lengths in tokens, without padding."""
        weights = 4 * self.hidden**2 + 2 * self.hidden * self.inner
        return sum(
            self.layers * (2 * weights * length + 4 * self.hidden * length**2) for length in lengths
        )


SHAPES = {
    "bge-reranker-v2-m3": Shape(1024, 24, 16, 4096),
    "bge-reranker-base": Shape(768, 12, 12, 3072),
    "small": Shape(384, 6, 12, 1536),
}
Score = Callable[[str, list[str]], Sequence[float]]


def main() -> int:
    """Print a Markdown table for each shape and workload."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--shapes", nargs="+", default=list(SHAPES)[:2], choices=list(SHAPES))
    parser.add_argument("--counts", nargs="+", type=int, default=[50, 100, 1000])
    parser.add_argument("--kinds", nargs="+", default=["mixed", "512"], choices=["mixed", "512"])
    parser.add_argument("--rounds", type=int, default=5)
    parsed = parser.parse_args()
    missing = [name for name in ("torch", "transformers", "resift") if find_spec(name) is None]
    if missing:
        return _skip(f"{', '.join(missing)} not installed: pip install resift[torch]")
    import torch

    if parsed.device.startswith("cuda") and not torch.cuda.is_available():
        return _skip("no GPU with CUDA here; --device cpu compares on the CPU")
    rate = _matmul_rate(torch, parsed.device)
    for name in parsed.shapes:
        with tempfile.TemporaryDirectory() as folder:
            words = make_model(SHAPES[name], Path(folder))
            systems = load_systems(folder, parsed.device)
            for kind in parsed.kinds:
                for count in parsed.counts:
                    _compare(name, kind, count, words, systems, rate, parsed)
        del systems
        gc.collect()
    return 0


def _skip(reason: str) -> int:
    sys.stdout.write(f"skipped: {reason}\n")
    return 0


def _matmul_rate(torch: Any, device: str) -> float:
    """FLOP/s of the largest square product that fits a few seconds: bf16, on the CPU float32."""
    on_cpu = device == "cpu"
    size = 2048 if on_cpu else 8192
    dtype = torch.float32 if on_cpu else torch.bfloat16
    left = torch.randn(size, size, device=device, dtype=dtype)
    best = 0.0
    for _ in range(10):
        start = time.perf_counter()
        left @ left
        if not on_cpu:
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - start))
    return best


def make_model(shape: Shape, folder: Path) -> dict[str, int]:
    """Random weights and a tokenizer in ``folder``; returns words and how many tokens they are."""
    import torch
    import transformers

    random = Random(0)
    syllables = ["ka", "lor", "mi", "ten", "su", "re", "vo", "sel", "da", "no"]
    words = ["".join(random.choices(syllables, k=3)) for _ in range(2000)]
    tokenizer: Any = transformers.XLMRobertaTokenizer().train_new_from_iterator(words, 3000)
    tokenizer.model_max_length = MAX_LENGTH
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    config = transformers.XLMRobertaConfig(
        vocab_size=250_002,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=shape.inner,
        max_position_embeddings=MAX_LENGTH + 2,
        type_vocab_size=1,
        num_labels=1,
        # Wide enough for logits that differ.
        initializer_range=0.05,
    )
    transformers.XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    return {word: len(tokenizer.tokenize(word)) for word in words}


def load_systems(folder: str, device: str) -> dict[str, Score]:
    """Each scores a query's documents, by name; those that are installed."""
    from resift import Reranker

    on_cpu = device == "cpu"
    precision = "fp32" if on_cpu else "bf16"
    ours = Reranker(folder, backend="torch", device=device, precision=precision)
    systems: dict[str, Score] = {f"resift {precision}": ours.score}
    if find_spec("FlagEmbedding") is not None:
        from FlagEmbedding import FlagReranker

        settings: dict[str, dict[str, Any]] = {"FlagEmbedding, defaults": {}}
        if not on_cpu:
            settings["FlagEmbedding, fp16"] = {"use_fp16": True, "batch_size": 256}
        for name, options in settings.items():
            flag = FlagReranker(folder, devices=[device], max_length=MAX_LENGTH, **options)
            systems[name] = _flag_score(flag)
    if find_spec("sentence_transformers") is not None:
        import torch
        from sentence_transformers import CrossEncoder

        options = {} if on_cpu else {"model_kwargs": {"dtype": torch.bfloat16}}
        encoder = CrossEncoder(folder, device=device, max_length=MAX_LENGTH, **options)
        systems[f"sentence-transformers {precision}"] = _encoder_score(encoder)
    return systems


def _flag_score(flag: Any) -> Score:
    def score(query: str, documents: list[str]) -> Sequence[float]:
        scores: Sequence[float] = flag.compute_score(
            [[query, text] for text in documents], normalize=True
        )
        return scores

    return score


def _encoder_score(encoder: Any) -> Score:
    def score(query: str, documents: list[str]) -> Sequence[float]:
        scores: Sequence[float] = encoder.predict(
            [(query, text) for text in documents], batch_size=128, show_progress_bar=False
        ).tolist()
        return scores

    return score


def _compare(
    name: str,
    kind: str,
    count: int,
    words: dict[str, int],
    systems: dict[str, Score],
    rate: float,
    parsed: argparse.Namespace,
) -> None:
    random = Random(count)
    query, used = _text(random, words, 12)
    lengths, documents = [], []
    for _ in range(count):
        length = random.randint(20, 500) if kind == "mixed" else MAX_LENGTH
        document, tokens = _text(random, words, length - used - SPECIALS)
        lengths.append(min(MAX_LENGTH, tokens + used + SPECIALS))
        documents.append(document)
    seconds: dict[str, list[float]] = {system: [] for system in systems}
    scores: dict[str, Sequence[float]] = {}
    for _ in range(parsed.rounds + 1):
        for system, score in systems.items():
            start = time.perf_counter()
            scores[system] = score(query, documents)
            seconds[system].append(time.perf_counter() - start)
    ours = next(iter(systems))
    out = sys.stdout
    out.write(
        f"\n{name}, {count} pairs, {kind} tokens; {rate / 1e12:.2f} TFLOP/s measured\n\n"
        "| system | pairs/s | share of the rate | largest difference to ours |\n|---|---|---|---|\n"
    )
    for system, (_, *runs) in seconds.items():
        took = statistics.median(runs)
        share = SHAPES[name].flop(lengths) / took / rate
        off = max(abs(a - b) for a, b in zip(scores[system], scores[ours], strict=True))
        out.write(f"| {system} | {count / took:.1f} | {share:.0%} | {off:.1e} |\n")
    out.flush()


def _text(random: Random, words: dict[str, int], tokens: int) -> tuple[str, int]:
    """Words of at least ``tokens`` tokens, and of how many."""
    names = list(words)
    chosen: list[str] = []
    total = 0
    while total < tokens or not chosen:
        chosen.append(random.choice(names))
        total += words[chosen[-1]]
    return " ".join(chosen), total


if __name__ == "__main__":
    sys.exit(main())
