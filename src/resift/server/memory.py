"""The memory that local models share: loaded when they are needed, evicted when it is short."""

from __future__ import annotations

import gc
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from resift.call import Call
from resift.errors import ModelError
from resift.loading.identity import weight_files
from resift.loading.model import LoadedModel
from resift.models.card import Card
from resift.models.folder import read_files
from resift.models.packages import find_packaged
from resift.once import Once
from resift.options import LoadOptions
from resift.request import Request
from resift.scoring import Local, Pool, Scored, Scorer, Source
from resift.scoring.scorer import Uncopied, cuts_of
from resift.server.config import local_scorer

_logger = logging.getLogger(__name__)


class Memory:
    """Local models that together take at most ``budget`` bytes, as far as that can be.

    A model is loaded when it is first needed, one at a time. Where there isn't room for all, those
    that were used longest ago are evicted, but never one in use, and never the one used last.
    """

    def __init__(
        self, budget: int | None, pool: Pool | None = None, threads: int | None = None
    ) -> None:
        self.budget = budget
        self._shared = {"pool": pool, "threads": threads}
        self._residents: list[Resident] = []
        self.lock = threading.Lock()
        """Held for the books alone, never while a model is loaded."""
        self._loading = threading.Lock()
        self._clock = itertools.count(1)

    def resident(self, options: LoadOptions) -> Resident:
        """The place of the model with these options: one, however often they are asked for."""
        for each in self._residents:
            if each.options == options:
                return each
        self._residents.append(Resident(options, self))
        return self._residents[-1]

    def new(self, options: LoadOptions) -> Local:
        """A scorer of these options that has loaded nothing yet."""
        return local_scorer(options, **self._shared)

    def tick(self) -> int:
        """A number above all before it."""
        return next(self._clock)

    def load(self, resident: Resident, local: Local) -> Local:
        """Load a model, after others have made room for it."""
        with self._loading:
            # What it took when it was loaded before.
            self.make_room(resident.size)
            before = _resident_bytes()
            files = _file_bytes(local.loaded)
            # Memory that another model left is taken again, and then nothing grows.
            size = max(resident.size, files, _resident_bytes() - before)
            is_new = not resident.size
            with self.lock:
                resident.size, resident.source = size, _lasting(local.source)
                resident.max_length = local.loaded.reader.max_length
            name = local.source.model
            _logger.info("%s is loaded: %.1f MB", name, size / 1e6)
            if is_new and self.budget is not None and size > self.budget:
                _logger.warning(
                    "%s alone takes %.1f MB, and memory_mb allows %.1f MB for all local models: it "
                    "is loaded all the same",
                    name,
                    size / 1e6,
                    self.budget / 1e6,
                )
            self.make_room(size)
            return local

    def make_room(self, wanted: int = 0) -> None:
        """Evict models that nobody uses, until ``wanted`` bytes more are within the budget."""
        if self.budget is None:
            return
        evicted = []
        with self.lock:
            loaded = sorted((x for x in self._residents if x.is_loaded), key=lambda x: x.used)
            taken = wanted + sum(each.size for each in loaded)
            newest = max((each.used for each in self._residents), default=0)
            for each in loaded:
                if taken > self.budget and not each.users and each.used != newest:
                    taken -= each.size
                    evicted.append(each.source.model)
                    each.evict()
        if evicted:
            # The scorers of a model refer to each other.
            gc.collect()
            _logger.info("evicted to make room: %s", ", ".join(evicted))


class Resident:
    """One local model: what it is loaded with, whether it is, and who uses it now."""

    def __init__(self, options: LoadOptions, memory: Memory) -> None:
        self.options = options
        self.size = 0
        """Bytes that it took when it was last loaded; 0 before."""
        self.users = 0
        self.used = 0
        """The tick of its last use."""
        self._memory = memory
        self.source: Source = _lasting(self._reset().source)
        """As complete as it ever was: a cascade reads it between calls."""
        self.max_length: int | None = None
        """Tokens of a pair that the model reads; ``None`` before it was ever loaded."""

    def _reset(self) -> Local:
        local = self._memory.new(self.options)
        self._arranged: dict[int, Scorer] = {}
        self._loaded = Once(lambda: self._memory.load(self, local))
        return local

    @property
    def is_loaded(self) -> bool:
        """Whether the model is in memory."""
        return self._loaded.is_made

    def evict(self) -> None:
        """Forget the model; whoever calls it holds the memory's lock, and nobody uses it."""
        self._reset()

    def arranged(self, key: int, local: Local, arrange: Callable[[Local], Scorer]) -> Scorer:
        """The model as ``arrange`` makes it, once while it is loaded."""
        with self._memory.lock:
            if key not in self._arranged:
                self._arranged[key] = arrange(local)
            return self._arranged[key]

    @contextmanager
    def lease(self, call: Call) -> Iterator[Local | None]:
        """Lend the model, which stays loaded meanwhile; ``None`` if it isn't by the deadline."""
        with self._memory.lock:
            # Before it is loaded, so that it isn't evicted before it is used.
            self.users += 1
            self.used = self._memory.tick()
            once = self._loaded
        try:
            if once.is_made:
                local: Local | None = once.get()
            else:
                with call.watch.phase("load"):
                    local = once.get_within(call.remaining)
            yield local
        finally:
            with self._memory.lock:
                self.users -= 1
            self._memory.make_room()


class Leased(Uncopied):
    """A scorer that borrows a local model for each call, so that it can be evicted in between."""

    _keys = itertools.count()

    def __init__(
        self, resident: Resident, arrange: Callable[[Local], Scorer] = lambda local: local
    ) -> None:
        self.resident = resident
        self._arrange = arrange
        self._key = next(self._keys)

    @property
    def source(self) -> Source:
        """The model's source."""
        return self.resident.source

    def warm_up(self, call: Call) -> None:
        """Load the model now, unless it is loaded, or as far as the call's deadline allows."""
        with self._lent(call) as scorer:
            if scorer is not None:
                scorer.warm_up(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Have the model score every text, or nothing where it isn't loaded in time."""
        with self._lent(call) as scorer:
            if scorer is not None:
                return scorer.score(requests, call)
        source = self.source
        _logger.warning("%s isn't loaded at the deadline: nothing was scored", source.model)
        return [Scored.nothing(len(each.texts), source, late=True) for each in requests]

    def cuts(self, request: Request, call: Call) -> list[int | None]:
        """Find where the model cuts each text; see ``Cutting``."""
        with self._lent(replace(call, deadline=None)) as scorer:
            assert scorer is not None
            return cuts_of(scorer, request, call)

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> Leased:
        """The same model with ``wrap`` around it, and around its estimator, whenever it is lent."""
        return Leased(self.resident, lambda local: local.rebuilt(wrap))

    @contextmanager
    def _lent(self, call: Call) -> Iterator[Scorer | None]:
        with self.resident.lease(call) as local:
            if local is None:
                yield None
            else:
                yield self.resident.arranged(self._key, local, self._arrange)

    def __repr__(self) -> str:
        return f"Leased({self.resident.options!r})"


def _lasting(source: Source) -> Source:
    """A source that doesn't hold its model, so that it can be evicted; answers have their own."""
    return replace(source, identity=None)


def _file_bytes(model: LoadedModel) -> int:
    """The bytes of the files that a model loads: weights and tokenizer, and its estimators'."""
    files = model.files
    loaded = [files.folder / name for name in weight_files(files, model.way.artifact)]
    # Whether they are loaded, and from which of these files, is for calls to say.
    loaded += _estimator_files(files.card)
    return sum(path.stat().st_size for path in (*loaded, files.tokenizer))


def _estimator_files(card: Card | None) -> list[Path]:
    """The files of the estimators behind a card; none of what can't be found, nor loaded."""
    found: dict[str, list[Path]] = {}
    while card and card.estimator and (name := card.estimator.model) not in found:
        try:
            packaged = find_packaged(name)
            if packaged is None:
                break
            card = read_files(name, packaged.folder).card
        except ModelError:
            break
        found[name] = [path for path in packaged.folder.rglob("*") if path.is_file()]
    return [path for paths in found.values() for path in paths]


def _resident_bytes() -> int:
    """The resident memory of this process; 0 where the system doesn't tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
