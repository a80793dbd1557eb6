"""Other people's packages, as pip leaves them: real metadata, in a folder of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import resift

BUNDLED = Path(resift.__file__).parent / "bundled"
MODELS = {
    path.parent.name: path.parent
    for path in sorted(
        [
            *BUNDLED.glob("*/card.json"),
            *Path(__file__).parents[1].glob("models/*/src/*/*/card.json"),
        ]
    )
}
"""The folders of our models by name: the bundled ones, and those with a package of their own."""
EXAMPLE = Path(__file__).parents[1] / "examples/resift-example-plugin"


def install_example(folder: Path) -> Path:
    """Build the example of a plug-in and install it into a folder, without a network."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run(
        [
            *command,
            "--no-index",
            "--no-deps",
            "--no-build-isolation",
            "--target",
            str(folder),
            str(EXAMPLE),
        ],
        check=True,
        timeout=120,
    )
    return folder


def write_package(folder: Path, name: str, points: dict[str, dict[str, str]], code: str) -> None:
    """A distribution with one module, and entry points by group and name."""
    (folder / f"{name}.py").write_text(code, encoding="utf-8")
    about = folder / f"{name}-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8"
    )
    lines = []
    for group, named in points.items():
        lines += [f"[{group}]", *(f"{each} = {value}" for each, value in named.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
