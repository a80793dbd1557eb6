"""The systems that are compared: how each is opened, and in which settings it may be tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from gpu_loads import MAX_LENGTH, Load
from random_models import PROMPTS
from reasons import UnavailableError
from shapes import Shape

from resift import Observer, Phase, Reranker
from resift.options import LoadOptions
from resift.scoring import LocalScorer

RESIFT, FLAG, SENTENCE = "resift", "FlagEmbedding", "sentence-transformers"
BATCHES = (32, 64, 128, 256)
"""Pairs in a batch of the others, to choose from."""
ATTENTION = ("sdpa", "flash_attention_2")
HALVES = ("bf16", "fp16")
_MODULES = {FLAG: "FlagEmbedding", SENTENCE: "sentence_transformers", RESIFT: "resift"}
"""What must be importable."""

Score = Callable[[Load, int | None], Sequence[float]]
"""Scores a load, from 0 to 1, in batches of so many pairs; ``None``: the system's own default."""


@dataclass(frozen=True)
class Opening:
    """What makes a system be loaded anew."""

    system: str
    precision: str
    """``fp32``, ``bf16``, ``fp16``, or ``default``."""
    attention: str = ""
    max_batch_tokens: int | None = None


@dataclass(frozen=True)
class Setting:
    """One way to run a system."""

    opening: Opening
    batch: int | None = None

    def __str__(self) -> str:
        one = self.opening
        words = [one.precision, one.attention, f"batches of {self.batch}" if self.batch else ""]
        words.append(f"passes of {one.max_batch_tokens} tokens" if one.max_batch_tokens else "")
        return ", ".join(word for word in words if word)


@dataclass(frozen=True)
class Contender:
    """A row of a table: the fastest of its settings is what is measured."""

    name: str
    settings: tuple[Setting, ...]

    @property
    def system(self) -> str:
        """The library."""
        return self.settings[0].opening.system


def contenders(shape: Shape, group: str, device: str) -> list[Contender]:
    """Who takes part for a shape.

    ``group``: ``"best"``, with each library's best setting, or ``"default"``, as each comes: in
    float32, if its makers' checkpoint is, and its own size of batches. On a CPU all are in float32.
    """
    if group == "default":
        found = [Contender(f"{RESIFT}, as it comes", (Setting(Opening(RESIFT, "fp32")),))]
        if shape.kind != "qwen3":
            found.append(_one(f"{FLAG}, as it comes", FLAG))
        if not shape.is_decoder:
            found.append(_one(f"{SENTENCE}, as it comes", SENTENCE))
        return found
    precisions = ("fp32",) if device == "cpu" else HALVES
    found = [
        Contender(f"{RESIFT} {each}", (Setting(Opening(RESIFT, each)),)) for each in precisions
    ]
    # FlagReranker has no bfloat16, and none of its classes has Qwen's prompt.
    flag = [each for each in precisions if shape.is_decoder or each != "bf16"]
    if shape.kind != "qwen3":
        openings = [Opening(FLAG, each) for each in flag]
        found.append(Contender(f"{FLAG}, best", tuple(_batches(openings))))
    openings = [Opening(SENTENCE, each, kernel) for each in precisions for kernel in ATTENTION]
    found.append(Contender(f"{SENTENCE}, best", tuple(_batches(openings))))
    return found


def _one(name: str, system: str) -> Contender:
    return Contender(name, (Setting(Opening(system, "default")),))


def _batches(openings: Sequence[Opening]) -> Iterator[Setting]:
    return (Setting(opening, batch) for opening in openings for batch in BATCHES)


def open_system(opening: Opening, shape: Shape, folder: Path, device: str) -> Score:
    """Load a system. Raises ``UnavailableError`` where it isn't installed, and what it raises."""
    module = _MODULES[opening.system]
    if find_spec(module) is None:
        raise UnavailableError(f"{module} is not installed")
    return _OPENERS[opening.system](opening, shape, folder, device)


class Phases(Observer):
    """Adds up the seconds of each phase of the calls that it watches."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock

    def phase(self, name: Phase) -> Any:
        """A context that times a phase."""
        return _Timed(self, name, self._clock)


class _Timed:
    def __init__(self, phases: Phases, name: str, clock: Callable[[], float]) -> None:
        self._phases, self._name, self._clock = phases, name, clock

    def __enter__(self) -> None:
        self._start = self._clock()

    def __exit__(self, *_: object) -> None:
        seconds = self._phases.seconds
        seconds[self._name] = seconds.get(self._name, 0.0) + self._clock() - self._start


class Ours:
    """resift: its ``rank``, with the order of documents undone."""

    def __init__(self, opening: Opening, _: Shape, folder: Path, device: str) -> None:
        options = LoadOptions(
            model=folder, backend="torch", device=device, precision=opening.precision
        )
        self._use(LocalScorer(options), options)

    def _use(self, scorer: LocalScorer, options: LoadOptions) -> None:
        self.phases: Phases | None = None
        """Gets the phases of each call, if it is there."""
        self._scorer, self._options = scorer, options
        self._reranker = Reranker(scorer=scorer, max_length=MAX_LENGTH)
        self._reranker.warm_up()

    def with_passes(self, tokens: int) -> Ours:
        """The same weights, in passes of at most ``tokens`` tokens."""
        options = replace(self._options, max_batch_tokens=tokens)
        other = Ours.__new__(Ours)
        other._use(LocalScorer(options, lambda: self._scorer.loaded), options)
        return other

    def __call__(self, load: Load, batch: int | None = None) -> Sequence[float]:
        """Score a load; the size of batches is for others."""
        del batch
        ranking = self._reranker.rank(load.query, load.documents, observer=self.phases)
        scores = [0.0] * len(load.documents)
        for result in ranking:
            scores[result.index] = result.score or 0.0
        return scores


def _flag(opening: Opening, shape: Shape, folder: Path, device: str) -> Score:
    import FlagEmbedding

    name = "FlagLLMReranker" if shape.is_decoder else "FlagReranker"
    # In float32 unless told otherwise.
    half = {"fp16": {"use_fp16": True}, "bf16": {"use_bf16": True}}.get(opening.precision, {})
    model = getattr(FlagEmbedding, name)(
        str(folder), devices=[device], max_length=MAX_LENGTH, normalize=True, **half
    )

    def score(load: Load, batch: int | None) -> Sequence[float]:
        pairs = [[load.query, document] for document in load.documents]
        more = {} if batch is None else {"batch_size": batch}
        # Its bars of progress can't be turned off.
        with redirect_stderr(StringIO()):
            scores: Sequence[float] = model.compute_score(pairs, **more)
        return scores

    return score


def _sentence(opening: Opening, shape: Shape, folder: Path, device: str) -> Score:
    import torch
    from sentence_transformers import CrossEncoder

    dtypes = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    model_options: dict[str, Any] = {}
    if opening.precision in dtypes:
        model_options["dtype"] = dtypes[opening.precision]
    if opening.attention:
        model_options["attn_implementation"] = opening.attention
    if shape.is_decoder:
        encoder = _answering(shape, folder, device, model_options)
    else:
        encoder = CrossEncoder(
            str(folder), device=device, max_length=MAX_LENGTH, model_kwargs=model_options
        )

    def score(load: Load, batch: int | None) -> Sequence[float]:
        pairs = [(load.query, document) for document in load.documents]
        more = {} if batch is None else {"batch_size": batch}
        scores: Sequence[float] = encoder.predict(pairs, show_progress_bar=False, **more).tolist()
        return scores

    return score


def _answering(shape: Shape, folder: Path, device: str, model_options: dict[str, Any]) -> Any:
    """A decoder by sentence-transformers' own modules for it; its template has the prompt."""
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore

    network = Transformer(
        str(folder),
        transformer_task="text-generation",
        model_kwargs=model_options,
        processor_kwargs={"model_max_length": MAX_LENGTH},
    )
    *no, yes = map(network.tokenizer.convert_tokens_to_ids, PROMPTS[shape.kind].answers)
    answer = LogitScore(true_token_id=yes, false_token_id=no[0] if no else None)
    return CrossEncoder(modules=[network, answer], device=device, activation_fn=torch.nn.Sigmoid())


_OPENERS: dict[str, Callable[[Opening, Shape, Path, str], Score]] = {
    RESIFT: Ours,
    FLAG: _flag,
    SENTENCE: _sentence,
}
