"""The tiny model with an estimator, loaded, and the package that estimators are installed in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from packages import write_package
from pruning.estimated import build

from resift import Reranker, plugins
from resift.models.packages import GROUP as MODELS


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install a package that ``build`` adds estimators to."""
    with pytest.MonkeyPatch.context() as patch:
        site = tmp_path_factory.mktemp("site")
        write_package(site, "estimators", {MODELS: {}}, "")
        (site / "estimators.py").unlink()
        (site / "estimators").mkdir()
        (site / "estimators/__init__.py").touch()
        patch.syspath_prepend(site)
        patch.setattr(plugins, "installed", plugins.installed.__wrapped__)
        yield


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pruned"))


@pytest.fixture(scope="module")
def reranker(model: Path) -> Reranker:
    # A pair in each pass: company would move the last digit.
    return Reranker(model, backend="onnx", normalization="none", max_batch_tokens=1)
