"""The plot: what the order given does, by its weight."""

from pathlib import Path
from typing import Any

from encoders import SHIPPED
from lists import BM25
from resift.reports.plots import DASHES, FAINT, label, plot, style
from tables import columns, rows

_SIZE = (6.0, 4.5)


def draw(results: dict[str, Any], path: Path) -> None:
    """Above, the gain over each first stage; below, the share kept of the gain over BM25."""
    said = "; ".join(
        f"{model} on {collection} after {stage}: "
        + ", ".join(
            f"{figures[name]['mean'] - figures['first_stage']:+.3f} with {name}"
            for name in _weights(results, model)
        )
        for model in SHIPPED
        for collection, stage, figures in rows(results, model)
    )
    title = "Gain over the first stage, and the share kept of it, by the weight of the place"
    numbers = {name: number for number, name in enumerate(results["collections"])}
    with plot(
        "first-stages", title, said, size=_SIZE, rows=2, columns=len(SHIPPED), sharey="row"
    ) as drawn:
        for column, model in enumerate(SHIPPED):
            gains, kept = (row[column] for row in drawn.panels)
            names = _weights(results, model)
            places = range(len(names))
            for collection, stage, figures in rows(results, model):
                means = [figures[name]["mean"] - figures["first_stage"] for name in names]
                words = stage == BM25
                look = style(numbers[collection])
                look |= {"linestyle": DASHES[0] if words else DASHES[2]}
                shown = label(collection) if words else None
                gains.plot(places, means, label=shown, **look | ({} if words else _THIN))
                shares = [figures[name]["kept"] for name in names]
                if words and None not in shares:
                    kept.plot(places, shares, **look)
            gains.axhline(0, color=FAINT, lw=1)
            gains.set_title(f"{model}: gain over the first stage, nDCG@10")
            kept.axhline(1, color=FAINT, lw=1)
            kept.set(xlabel="weight of the place", title="kept of the gain over BM25", ylim=(0, 2))
            for axis in (gains, kept):
                axis.set_xticks(places, names)
        handles, labels = drawn.axes.get_legend_handles_labels()
        drawn.figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=len(labels),
            fontsize="small",
            title="solid: BM25, dotted: dense and fused",
        )
    path.write_text(drawn.file, encoding="utf-8")


_THIN = {"linewidth": 1, "markersize": 3}


def _weights(results: dict[str, Any], model: str) -> list[str]:
    return [name for name in columns(results, model) if name[0].isdigit()]
