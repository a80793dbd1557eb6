"""A reranker in Triton's Python backend: texts in, scores out. ``resift export`` wrote this file.

Of the parameters in ``config.pbtxt``, those named in ``_OPTIONS`` are ``resift.Reranker``'s.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from resift import InvalidRequestError, Observer, OverloadedError, Ranking, Reranker, ResiftError

_OPTIONS: dict[str, Callable[[str], Any]] = {
    "backend": str,
    "device": str,
    "long_documents": str,
    "max_batch_tokens": int,
    "max_length": int,
    "precision": str,
    "threads": int,
}
_LIMITS: dict[str, Callable[[str], Any]] = {"deadline_ms": float, "max_documents": int}
_SAID = ("model", "revision")
"""Parameters that are for clients to read."""
_COUNTED = {
    "resift_documents_total": ("Documents scored", "scored"),
    "resift_pairs_total": ("Pairs that the model scored", "pairs"),
    "resift_tokens_total": ("Tokens in those pairs", "tokens"),
    "resift_truncated_documents_total": ("Documents that were cut", "truncated_documents"),
}
_CODES = {InvalidRequestError: "INVALID_ARG", OverloadedError: "UNAVAILABLE"}


class _LateError(Exception):
    """Time was up before all documents of a request were scored."""


class _AbandonedError(Exception):
    """Nobody waits for any of the answers."""


@dataclass(frozen=True)
class _Asked:
    """A request, with a query and its texts for each of its rows."""

    request: Any
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True)
class _Watch(Observer):
    """Ends a call whose requests were all cancelled."""

    requests: Sequence[Any]

    def progress(self, done: int, total: int) -> None:
        if done < total and all(each.is_cancelled() for each in self.requests):
            raise _AbandonedError


class TritonPythonModel:
    """One instance of the model, in a process of its own."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model, which tests itself. What this raises, Triton says of the model."""
        given = _parameters(json.loads(args["model_config"])["parameters"])
        self._most = given.pop("max_documents", math.inf)
        self._deadline_ms = given.pop("deadline_ms", math.inf)
        if args["model_instance_kind"] == "GPU":
            on_gpu = {"backend": "torch", "device": f"cuda:{args['model_instance_device_id']}"}
            given = {**on_gpu, **given}
        folder = Path(args["model_repository"], args["model_version"], "model")
        self._reranker = Reranker(folder, offline=True, **given)
        self._reranker.warm_up()
        labels = {"model": args["model_name"], "version": args["model_version"]}
        # Metrics end with their families.
        self._families = {
            name: pb_utils.MetricFamily(
                name=name, description=description, kind=pb_utils.MetricFamily.COUNTER
            )
            for name, (description, _) in _COUNTED.items()
        }
        self._counters = {
            name: family.Metric(labels=labels) for name, family in self._families.items()
        }

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer requests: the good ones together, and each other with its own error."""
        read = [self._read(each) for each in requests]
        answers = self._answers([each for each in read if isinstance(each, _Asked)])
        return [next(answers) if isinstance(each, _Asked) else each for each in read]

    def finalize(self) -> None:
        """Let go of the model."""
        del self._reranker, self._counters
        del self._families

    def _read(self, request: Any) -> Any:
        """The request as ``_Asked``, or the response that refuses it."""
        if request.is_cancelled():
            return _refusal("the request was cancelled before its turn", "CANCELLED")
        try:
            queries, texts = (_texts(request, name) for name in ("query", "texts"))
            if len(queries) != len(texts) or any(len(each) != 1 for each in queries):
                raise InvalidRequestError(
                    f"query has {len(queries)} rows and texts has {len(texts)}; expected as many, "
                    "and one query in each"
                )
            given = sum(map(len, texts))
            if given > self._most:
                raise InvalidRequestError(
                    f"texts has {given} texts; expected at most {self._most}, the max_documents of "
                    "config.pbtxt: send several requests"
                )
        except InvalidRequestError as error:
            return _refusal(str(error), "INVALID_ARG")
        return _Asked(request, [(query, row) for (query,), row in zip(queries, texts, strict=True)])

    def _answers(self, asked: Sequence[_Asked]) -> Iterator[Any]:
        """A response for each request, in their order."""
        if not asked:
            return
        try:
            rankings = iter(self._rank(asked))
        except _AbandonedError:
            yield from (_refusal("the request was cancelled", "CANCELLED") for _ in asked)
        # Whatever one request made go wrong, the others are answered.
        except Exception as error:
            if len(asked) > 1:
                for each in asked:
                    yield from self._answers([each])
                return
            if not isinstance(error, ResiftError):
                pb_utils.Logger.log_error(f"resift: {type(error).__name__}: {error}")
            codes = [code for kind, code in _CODES.items() if isinstance(error, kind)]
            yield _refusal(f"{type(error).__name__}: {error}", *codes or ["INTERNAL"])
        else:
            for each in asked:
                yield self._response(each, list(islice(rankings, len(each.rows))))

    def _rank(self, asked: Sequence[_Asked]) -> list[Ranking]:
        requests = [each.request for each in asked]
        # Microseconds, and 0 for none. Once the last of them is over, nobody waits.
        patience = max(each.timeout() / 1000 or math.inf for each in requests)
        left = min(self._deadline_ms, patience)
        return self._reranker.rank_many(
            [row for each in asked for row in each.rows],
            observer=_Watch(requests),
            deadline_ms=None if math.isinf(left) else left,
        )

    def _response(self, asked: _Asked, rankings: Sequence[Ranking]) -> Any:
        for name, counter in self._counters.items():
            counter.increment(sum(getattr(each.counts, _COUNTED[name][1]) for each in rankings))
        ordered = [sorted(each, key=lambda result: result.index) for each in rankings]
        missing = sum(result.logit is None for row in ordered for result in row)
        if missing:
            return _refusal(
                f"time was up before {missing} of {sum(map(len, ordered))} texts were scored; send "
                "fewer, or raise the timeout or deadline_ms",
                "UNAVAILABLE",
            )
        found = {
            "scores": [[result.score for result in row] for row in ordered],
            "logits": [[result.logit for result in row] for row in ordered],
        }
        wanted = asked.request.requested_output_names()
        return pb_utils.InferenceResponse(
            [
                pb_utils.Tensor(name, np.array(rows, dtype=np.float32))
                for name, rows in found.items()
                if name in wanted
            ]
        )


def _parameters(given: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The options among the parameters. Names in capitals are Triton's own."""
    readers = {**_OPTIONS, **_LIMITS}
    found = {}
    for name, value in given.items():
        if name in readers:
            text = value["string_value"]
            try:
                found[name] = readers[name](text)
            except ValueError:
                raise InvalidRequestError(
                    f"the parameter {name} is {text!r}; expected a number"
                ) from None
        elif name not in _SAID and not name.isupper():
            raise InvalidRequestError(
                f"{name!r} is no parameter; expected one of {sorted(readers)} in config.pbtxt"
            )
    return found


def _texts(request: Any, name: str) -> list[list[str]]:
    """An input's rows of texts. Raises ``InvalidRequestError``."""
    rows = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    try:
        return [[text.decode("utf-8") for text in row] for row in rows]
    except UnicodeDecodeError as error:
        raise InvalidRequestError(
            f"a text of {name} isn't UTF-8: {error.reason} at byte {error.start}"
        ) from None


def _refusal(message: str, code: str) -> Any:
    error = pb_utils.TritonError(f"resift: {message}", getattr(pb_utils.TritonError, code))
    return pb_utils.InferenceResponse(error=error)
