"""The plot: what the order given does, by its weight."""

from importlib import import_module
from pathlib import Path
from typing import Any

from encoders import SHIPPED
from lists import BM25
from tables import columns, rows


def draw(results: dict[str, Any], path: Path) -> None:
    """Above, the gain over each first stage; below, the share kept of the gain over BM25."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    colours = pyplot.get_cmap("tab10").colors
    palette = dict(zip(results["collections"], colours, strict=False))
    figure, axes = pyplot.subplots(
        2, len(SHIPPED), figsize=(6 * len(SHIPPED), 8), sharey="row", layout="constrained"
    )
    for model, (gains, kept) in zip(SHIPPED, axes.T, strict=True):
        names = [name for name in columns(results, model) if name[0].isdigit()]
        places = range(len(names))
        for collection, stage, figures in rows(results, model):
            means = [figures[name]["mean"] - figures["first_stage"] for name in names]
            words = stage == BM25
            style = {"color": palette[collection], "label": collection if words else None}
            gains.plot(places, means, "-" if words else ":", linewidth=2 if words else 1, **style)
            shares = [figures[name]["kept"] for name in names]
            if words and None not in shares:
                kept.plot(places, shares, "-o", **style)
        gains.axhline(0, color="black", linewidth=0.8)
        gains.set_title(f"{model}: gain over the first stage, nDCG@10")
        kept.axhline(1, color="black", linewidth=0.8)
        kept.set(xlabel="weight of the place", title="kept of the gain over BM25", ylim=(0, 2))
        for axis in (gains, kept):
            axis.set_xticks(places, names)
        gains.legend(fontsize="small", title="solid: BM25, dotted: dense and fused")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
