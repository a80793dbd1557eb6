"""The figures in Markdown."""

from collections.abc import Iterator
from typing import Any

from cells import WEIGHTS
from encoders import PUBLISHED, SHIPPED
from lists import BM25

KEPT = 0.97

Row = tuple[str, str, dict[str, Any]]


def rows(results: dict[str, Any], model: str) -> Iterator[Row]:
    """Collection, first stage and figures of a reranker."""
    for collection, found in results["collections"].items():
        for stage, models in found["first_stages"].items():
            if model in models:
                yield collection, stage, models[model]


def columns(results: dict[str, Any], model: str) -> list[str]:
    """Weights that figures have, as they are named in the results."""
    named = [f"{weight:g}" for weight in WEIGHTS]
    return [*named, *(["card"] if results["weights"][model] is not None else []), "fitted"]


def tables(results: dict[str, Any]) -> str:
    """What targets are met, then every figure of the shipped models."""
    parts = ["# First stages, reranked", "", *_summary(results)]
    for model in SHIPPED:
        parts += ["", f"## {model}", "", *_figures(results, model)]
    return "\n".join(parts) + "\n"


def _summary(results: dict[str, Any]) -> Iterator[str]:
    models = (*SHIPPED, *PUBLISHED)
    names = columns(results, SHIPPED[0])
    yield (
        "By reranker and weight: pairs of collection and first stage that end below the first stage"
        " beyond the 95 % interval, of all; and the share of the gain over BM25 without a weight"
        " that is kept, the smallest and the mean, over the collections where there is a gain."
    )
    yield ""
    yield f"| reranker | {' | '.join(_title(name, results, SHIPPED[0]) for name in names)} |"
    yield "|---" * (len(names) + 1) + "|"
    for model in models:
        pairs = [figures for *_, figures in rows(results, model)]
        if not pairs:
            continue
        cells = []
        for name in names:
            below = sum(name in each and each[name]["over_first_stage"][1] < 0 for each in pairs)
            kept = [
                figures[name]["kept"]
                for _, stage, figures in rows(results, model)
                if stage == BM25 and name in figures and figures[name]["kept"] is not None
            ]
            shares = f"{min(kept):.2f}, {sum(kept) / len(kept):.2f}" if kept else "–"
            cells.append(f"{below} of {len(pairs)}; {shares}")
        yield f"| {PUBLISHED.get(model, model)} | {' | '.join(cells)} |"


def _figures(results: dict[str, Any], model: str) -> Iterator[str]:
    names = columns(results, model)
    yield (
        "nDCG@10. ▼ is below the first stage, ▲ above it, beyond the 95 % interval. Fitted: each"
        " half of the queries with the weight that the other half gives."
    )
    yield ""
    titles = " | ".join(_title(name, results, model) for name in names)
    yield f"| collection | first stage | itself | {titles} |"
    yield "|---" * (len(names) + 3) + "|"
    for collection, stage, figures in rows(results, model):
        shown = " | ".join(_cell(figures, name) for name in names)
        yield f"| {collection} | {stage} | {_short(figures['first_stage'])} | {shown} |"


def _title(name: str, results: dict[str, Any], model: str) -> str:
    return f"card: {results['weights'][model]:g}" if name == "card" else name


def _cell(figures: dict[str, Any], name: str) -> str:
    if name not in figures:
        return "none fits"
    low, high = figures[name]["over_first_stage"]
    mark = " ▼" if high < 0 else " ▲" if low > 0 else ""
    weights = figures["fitted_weights"] if name == "fitted" else []
    shown = f" ({', '.join(f'{each:.2g}' for each in weights)})" if weights else ""
    return f"{_short(figures[name]['mean'])}{mark}{shown}"


def _short(value: float) -> str:
    return f"{value:.3f}".removeprefix("0")
