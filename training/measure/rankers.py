"""What is measured: rankers by name, their scores kept from run to run."""

import hashlib
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import resift
from collection import Collection
from comparison import z_sum
from made import BUNDLED, GRAPHS, MODELS, TEACHERS, by_text, fetch, shipped_encoder
from resift import Reranker
from resift.models.store.manifest import sha256
from resift.text.tokenizer import PairTokenizer

# Their scores are summed from two parts; `encoder` is the first alone.
ENCODERS = {"v0": "minilm", "bge-small": "bge-small", "gte-small": "gte-small"}
ENSEMBLE = tuple(ENCODERS)
PUBLISHED = ("first_stage", "encoder", *ENCODERS, "ensemble")
TOKENIZER = BUNDLED / "resift-small" / "tokenizer.json"

# Files of a model's folder that no score depends on. A card holds this very report.
_REMARKS = {"README.md", "LICENSE", "card.json", "golden.json"}

# One query's scores by what they are called, one per candidate each.
Columns = dict[str, list[float]]

log = logging.getLogger("rankers")


class Source(Protocol):
    """Something that scores, whatever it costs."""

    digest: str
    """Hexadecimal: of all that its scores depend on besides the collection."""

    def score(
        self, collection: Collection, queries: Sequence[str]
    ) -> Iterator[tuple[str, Columns]]:
        """Columns of each of `queries`, as soon as they are known."""
        ...


class Encoders:
    """A published encoder of `TEACHERS`, by late interaction: columns `cosine` and `match`."""

    def __init__(self, name: str, cache: Path, *, threads: int) -> None:
        self._graph = fetch(name, cache) / TEACHERS[name].weights
        self._threads = threads
        self._tokenizer = PairTokenizer(TOKENIZER, pad_token_id=0)
        self.digest = _digest("late interaction", TEACHERS[name].sha256, sha256(TOKENIZER))

    def score(
        self, collection: Collection, queries: Sequence[str]
    ) -> Iterator[tuple[str, Columns]]:
        """All at the end: a document is scored for every query at once."""
        lists = {name: (collection.queries[name], collection.texts(name)) for name in queries}
        listed = by_text.tokenize(self._tokenizer, lists)
        log.info("%s: %d different texts", collection.name, len(listed.documents))
        encoder = by_text.Encoder(self._graph, self._tokenizer, threads=self._threads)
        for name, parts in by_text.score(encoder, listed).items():
            yield name, {column: values.tolist() for column, values in asdict(parts).items()}


class Engine:
    """A model of resift's, as a user runs it: column `logit`.

    The digest has the engine's version, not its code: clear the cache where that has changed.
    """

    def __init__(self, model: Path, precision: str, *, threads: int) -> None:
        self._reranker = Reranker(
            model, precision=precision, backend="onnx", threads=threads, normalization="none"
        )
        files = sorted(path for path in model.iterdir() if path.name not in _REMARKS)
        digests = [f"{path.name} {sha256(path)}" for path in files]
        self.digest = _digest("engine", resift.__version__, precision, *digests)

    def score(
        self, collection: Collection, queries: Sequence[str]
    ) -> Iterator[tuple[str, Columns]]:
        """One query at a time."""
        for name in queries:
            scores = self._reranker.score(collection.queries[name], collection.texts(name))
            yield name, {"logit": list(scores)}


class ByText:
    """A built model whose texts are encoded once for all queries: column `logit`.

    Within the model's tolerance these are `Engine`'s, in a small part of the time.
    """

    def __init__(self, model: Path, precision: str, *, threads: int) -> None:
        self._shipped = shipped_encoder.read(model, precision)
        self._tokenizer = PairTokenizer(model / "tokenizer.json", pad_token_id=0)
        self._threads = threads
        files = (model / GRAPHS[precision], model / "model.onnx.data", model / "tokenizer.json")
        self.digest = _digest("by text", *map(sha256, files))

    def score(
        self, collection: Collection, queries: Sequence[str]
    ) -> Iterator[tuple[str, Columns]]:
        """All at the end: a document is scored for every query at once."""
        lists = {name: (collection.queries[name], collection.texts(name)) for name in queries}
        listed = by_text.tokenize(self._tokenizer, lists)
        log.info("%s: %d different texts", collection.name, len(listed.documents))
        encoder = by_text.Encoder(self._shipped.graph, self._tokenizer, threads=self._threads)
        for name, parts in by_text.score(encoder, listed, self._shipped.worth).items():
            yield name, {"logit": self._shipped.logits(parts).tolist()}


class Systems:
    """Scores by a system's name.

    A name is one of `PUBLISHED`, or `<model>-<precision>`, where the model is a folder or the name
    of one that is made here, `small` for `resift-small`; `<model>-<precision>-by-text` encodes each
    of its texts once. `cache` keeps downloads, and scores as
    JSON lines: one query each, added as they come, so that a run that was stopped goes on where it
    was.
    """

    def __init__(self, cache: Path, threads: int) -> None:
        self._cache, self._threads = cache, threads
        self._sources: dict[str, Source] = {}

    def scores(
        self, name: str, collection: Collection, queries: Sequence[str]
    ) -> dict[str, list[float]]:
        """The candidates' scores by query. Raises `ValueError` for an unknown name."""
        if name == "first_stage":
            return {query: list(collection.run.get(query, {}).values()) for query in queries}
        if name == "ensemble":
            each = [self.scores(member, collection, queries) for member in ENSEMBLE]
            return {query: z_sum([one[query] for one in each]).tolist() for query in queries}
        columns = self._columns(name, collection, queries)
        if name == "encoder":
            return {query: columns[query]["cosine"] for query in queries}
        return {
            query: [sum(values) for values in zip(*columns[query].values(), strict=True)]
            for query in queries
        }

    def _columns(
        self, name: str, collection: Collection, queries: Sequence[str]
    ) -> dict[str, Columns]:
        source = self._source("v0" if name == "encoder" else name)
        digest = _digest(source.digest, collection.sha256)
        # "encoder" and "v0" are one source, and so one file.
        label = "v0" if name == "encoder" else Path(name).name
        path = self._cache / f"{collection.name}.{label}.{digest[:12]}.jsonl"
        known = _read(path)
        missing = [query for query in queries if query not in known]
        if missing:
            self._cache.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as file:
                for query, columns in source.score(collection, missing):
                    known[query] = columns
                    file.write(json.dumps({"query": query, "scores": columns}) + "\n")
                    file.flush()
        return known

    def _source(self, name: str) -> Source:
        if name not in self._sources:
            self._sources[name] = self._open(name)
        return self._sources[name]

    def _open(self, name: str) -> Source:
        if name in ENCODERS:
            return Encoders(ENCODERS[name], self._cache, threads=self._threads)
        kind = ByText if name.endswith("-by-text") else Engine
        name = name.removesuffix("-by-text")
        # Of the precisions, one ends as no other does: int8-narrow.
        bare = name.removesuffix("-narrow")
        model = bare.rpartition("-")[0]
        precision = name[len(model) + 1 :]
        made = [MODELS[model].folder] if model in MODELS else []
        for folder in (Path(model), BUNDLED / model, *made):
            if model and (folder / "config.json").exists():
                return kind(folder, precision, threads=self._threads)
        raise ValueError(
            f"no system {name!r}: expected one of {PUBLISHED}, or <model>-<precision> with a folder"
            f" or one of {tuple(MODELS)}"
        )


def _read(path: Path) -> dict[str, Columns]:
    """What an earlier run left; a last line that was cut short is taken off the file."""
    if not path.exists():
        return {}
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    records = map(json.loads, whole.splitlines())
    return {record["query"]: record["scores"] for record in records}


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
