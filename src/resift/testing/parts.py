"""Properties of every backend and of every family, as pytest suites to inherit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from resift import BackendUnavailableError, Reranker, UnsupportedModelError
from resift.backends.choice import backend_class
from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS, backend_entry
from resift.families.protocol import Family
from resift.families.table import FAMILIES, find_family
from resift.testing.texts import QUERY, TEXTS
from resift.text.batch import Batch


class BackendContract:
    """Rows for one backend. Subclasses name it, and override the fixture ``model``."""

    backend: str
    """The backend's name."""
    tolerance: float = 1e-5
    """The most that the other documents of a batch may move a logit."""

    @pytest.fixture
    def model(self) -> str | Path:
        """A model that the backend runs: a name or a folder."""
        raise NotImplementedError

    def test_the_name_is_its_own(self) -> None:
        entry = backend_entry(self.backend)
        assert self.backend not in BACKENDS or BACKENDS[self.backend] is entry
        assert self.backend not in ("", "auto")

    def test_the_entry_says_what_it_needs(self) -> None:
        entry = backend_entry(self.backend)
        for name in ("requires", "devices", "formats", "probed", "reluctant", "architectures"):
            assert not isinstance(getattr(entry, name), str), f"{name} has to be a list"
        assert entry.devices
        assert entry.formats
        assert entry.runs
        assert {*entry.probed, *entry.reluctant} <= set(entry.runs)

    def test_a_ranking_names_what_ran(self, model: str | Path) -> None:
        entry = backend_entry(self.backend)
        ranking = self._reranker(model).rank(QUERY, TEXTS)
        assert ranking.backend == self.backend
        assert ranking.precision in entry.runs
        assert ranking.device is not None
        assert ranking.device.split(":")[0] in entry.devices

    def test_outputs_are_float32_for_each_pair(
        self, model: str | Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        cls = backend_class(self.backend)
        forward, seen = cls.forward, []

        def record(backend: Backend, batch: Batch) -> NDArray[np.float32]:
            outputs = forward(backend, batch)
            seen.append((outputs.dtype, outputs.shape[:1], batch.input_ids.shape[:1]))
            return outputs

        monkeypatch.setattr(cls, "forward", record)
        self._reranker(model).score(QUERY, TEXTS)
        assert seen
        for dtype, rows, pairs in seen:
            assert dtype == np.float32
            assert rows == pairs

    def test_padding_and_neighbours_change_nothing(self, model: str | Path) -> None:
        texts = [f"{left} {right}" for left in TEXTS for right in ("", *TEXTS)]
        alone = self._reranker(model, max_batch_tokens=1).score(QUERY, texts)
        together = self._reranker(model, max_batch_tokens=100_000).score(QUERY, texts)
        assert together == pytest.approx(alone, abs=self.tolerance)

    def test_threads_share_one_instance(self, model: str | Path) -> None:
        reranker = self._reranker(model, threads=4)
        queries = [f"{QUERY} {n}" for n in range(16)]
        expected = [reranker.score(query, TEXTS) for query in queries]
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda query: reranker.score(query, TEXTS), queries))
        assert found == [pytest.approx(scores, abs=self.tolerance) for scores in expected]

    def test_a_missing_device_is_refused(self, model: str | Path) -> None:
        with pytest.raises(BackendUnavailableError, match="abacus"):
            self._reranker(model, device="abacus").warm_up()

    def test_a_damaged_file_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "damaged"
        path.write_bytes(b"not a model")
        precision = next(iter(backend_entry(self.backend).runs))
        with pytest.raises(UnsupportedModelError, match="damaged"):
            backend_class(self.backend)(path, device=None, precision=precision, threads=1)

    def _reranker(self, model: str | Path, **options: Any) -> Reranker:
        return Reranker(model, backend=self.backend, normalization="none", **options)


class FamilyContract:
    """Rows for one family. Subclasses set its name, its class, and facts of one of its models."""

    name: str
    """The family's name, as in a card."""
    family: type[Family]
    config: ClassVar[Mapping[str, Any]]
    """The ``config.json`` of one of its models."""
    outputs: Sequence[Sequence[float]]
    """Outputs of such a model, ``[batch, labels]``, the most relevant pair first."""

    def test_a_card_can_name_it(self) -> None:
        assert type(find_family({}, self.name, "a model")) is self.family
        assert self.name not in FAMILIES or FAMILIES[self.name] is self.family

    def test_it_recognises_its_models_alone(self) -> None:
        assert type(find_family(self.config, None, "a model")) is self.family
        assert not self.family.recognises({})

    def test_a_pair_fits_its_window(self) -> None:
        assert self.family().window(self.config) > 2

    def test_every_document_stays_in_its_place(self) -> None:
        query, documents = self.family().format(QUERY, TEXTS)
        assert QUERY in query
        assert len(documents) == len(TEXTS)
        for document, text in zip(documents, TEXTS, strict=True):
            assert text in document

    def test_each_pair_has_one_logit(self) -> None:
        outputs = np.array(self.outputs, dtype=np.float32)
        logits = self.family().logits(outputs)
        assert logits.shape == (len(outputs),)
        assert logits.dtype == np.float32
        assert np.isfinite(logits).all()
        assert logits.tolist() == sorted(logits.tolist(), reverse=True)
        alone = [self.family().logits(row[np.newaxis])[0] for row in outputs]
        assert logits.tolist() == alone
