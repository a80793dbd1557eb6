"""``ResiftRanker``: the engine as a Haystack component."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any, Unpack

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.tracing.tracer import tracer
from haystack.utils import ComponentDevice, Secret, deserialize_callable, serialize_callable
from haystack_integrations.components.rankers.resift.options import (
    Unpickled,
    check_secret,
    device_name,
)

from resift import Ranking, Reranker, TimingEvent
from resift.adapter import (
    DEFAULT_TOP_N,
    Adapter,
    SharedOptions,
    check_positive_int,
    copy_documents,
    read_documents,
)
from resift.attributes import EngineOptions, shows_engine_options


@component
class ResiftRanker(EngineOptions):
    """
    Ranks documents by their relevance to a query, with a cross-encoder.

    The default model comes with the package: no download, no GPU and no API key. It is loaded by
    `warm_up`, or else by the first run that has documents.

    ### Usage example

    ```python
    from haystack import Document
    from haystack_integrations.components.rankers.resift import ResiftRanker

    ranker = ResiftRanker(top_k=1)
    documents = [
        Document(content="The museum is closed on Mondays."),
        Document(content="Use sorted with a key function to sort a dictionary by value."),
    ]
    result = ranker.run(query="how do I sort a dictionary by value", documents=documents)
    print(result["documents"][0].content)
    # Use sorted with a key function to sort a dictionary by value.
    ```

    In a pipeline, each run puts its phase times (seconds) and counts on the component's tracing
    span: `resift.tokenize`, `resift.infer`, `resift.total`, `resift.pairs` and the other fields of
    `resift.TimingEvent`.

    Every option can be read as an attribute. `top_k`, `score_threshold`, `metadata_fields` and
    `reranker` may be assigned.
    """

    _names = {  # noqa: RUF012
        "top_k": "top_n",
        "score_threshold": "score_threshold",
        "metadata_fields": "metadata_fields",
    }
    top_k: int | None
    score_threshold: float | None
    metadata_fields: Sequence[str]

    @shows_engine_options
    def __init__(
        self,
        *,
        top_k: int | None = DEFAULT_TOP_N,
        score_threshold: float | None = None,
        metadata_fields: Sequence[str] = (),
        reranker: Reranker | None = None,
        device: str | ComponentDevice | None = None,
        token: Secret | None = None,
        **options: Unpack[SharedOptions],
    ) -> None:
        """
        Creates a ranker; loads no model yet.

        :param top_k:
            How many documents to return at most, from 1; `None` returns all.
        :param score_threshold:
            Return only documents with at least this score, on the scale of `normalization`.
            Applied before `top_k`.
        :param metadata_fields:
            Names of `meta` entries to put before the content, one `name: value` line for each that
            is present and not `None`. Without them the content alone is scored.
        :param reranker:
            A ready engine, to share one loaded model. A saved pipeline has the engine's options.
        :param device:
            Where the model runs, as a name such as `"cuda:0"` or a `ComponentDevice` of a single
            device; `None` is the backend's default. For several devices, use `devices`.
        :param token:
            For gated and private models of the Hugging Face hub, resolved when one is downloaded.
            `None` leaves it to `HF_TOKEN` and the hub's own login.
        :param options:
            Instead of `reranker`, the other keywords of `resift.Reranker`, which the signature
            shows.

        :raises resift.InvalidRequestError:
            A `ValueError`: an option is invalid, or both `reranker` and `options` are given.
        :raises resift.BackendUnavailableError:
            If the backend isn't installed.
        :raises TypeError:
            If an option is unknown.
        """
        _check_top_k(top_k)
        given: Any = {**options}
        if device is not None:
            given["device"] = device_name(device)
        if token is not None:
            given["token"] = check_secret("token", token, "HF_TOKEN").resolve_value
        self._token = Unpickled(token)
        adapter = Adapter(
            reranker=reranker,
            top_n=top_k,
            score_threshold=score_threshold,
            metadata_fields=metadata_fields,
            options=given,
        )
        self._take(adapter)

    @property
    def token(self) -> Secret | None:
        """The token for downloading models; a pickled ranker has none."""
        return self._token.secret

    def warm_up(self) -> None:
        """
        Loads the model, unless it is loaded.

        :raises resift.ModelError:
            If the model is missing or can't be run.
        """
        self._adapter.reranker.warm_up()

    async def warm_up_async(self) -> None:
        """
        Loads the model in a worker thread, unless it is loaded.

        :raises resift.ModelError:
            If the model is missing or can't be run.
        """
        await self._adapter.reranker.awarm_up()

    def to_dict(self) -> dict[str, Any]:
        """
        Serializes the component to a dictionary.

        :returns:
            Dictionary with serialized data.
        :raises haystack.core.errors.SerializationError:
            If `on_timing` isn't a function that can be imported.
        :raises ValueError:
            If `token` isn't from environment variables: Haystack saves no others.
        """
        parameters = self._adapter.to_dict()
        parameters["top_k"] = parameters.pop("top_n")
        if self.token is not None:
            parameters["token"] = self.token.to_dict()
        if "on_timing" in parameters:
            parameters["on_timing"] = serialize_callable(parameters["on_timing"])
        return default_to_dict(self, **parameters)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ResiftRanker:
        """
        Deserializes the component from a dictionary.

        :param data:
            Dictionary to deserialize from.
        :returns:
            Deserialized component.
        :raises haystack.core.errors.DeserializationError:
            If the dictionary is another component's, or `on_timing` may not be imported.
        """
        parameters = dict(data.get("init_parameters", {}))
        if parameters.get("on_timing") is not None:
            parameters["on_timing"] = deserialize_callable(parameters["on_timing"])
        return default_from_dict(cls, {**data, "init_parameters": parameters})

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """
        Ranks documents by their relevance to the query.

        :param query:
            The query; not empty and not only white space.
        :param documents:
            The documents to rank, in any iterable, which is read once; they are not changed. Their
            order, and their `score` where they have one, are the retriever's: see `prior`.
            Duplicates are kept, and content that is `None` is scored as the empty string.
        :param top_k:
            How many documents to return at most, from 1. `None` means the value given at
            construction.
        :param score_threshold:
            Return only documents with at least this score. `None` means the value given at
            construction.

        :returns:
            A dictionary with the key `documents`: copies, most relevant first, with the new score
            as a `float`, and each with a copy of `meta`.

        :raises resift.InvalidRequestError:
            A `ValueError`: the query, a document or an option is invalid.
        :raises resift.ModelError:
            If the model is missing or can't be run.
        :raises resift.NonFiniteScoreError:
            If the model gives NaN or infinity.
        """
        given = _read(documents)
        copies = _copies(given)
        ranking = self._adapter.rank(
            query,
            self._texts(given),
            first_stage_scores=[document.score for document in given],
            top_n=_check_top_k(top_k),
            score_threshold=score_threshold,
        )
        return _output(copies, ranking)

    @component.output_types(documents=list[Document])
    async def run_async(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """
        Does the same as `run` in a worker thread; when cancelled, it stops after the current batch.

        Parameters, result and errors are those of `run`.
        """
        given = _read(documents)
        copies = _copies(given)
        ranking = await self._adapter.arank(
            query,
            self._texts(given),
            first_stage_scores=[document.score for document in given],
            top_n=_check_top_k(top_k),
            score_threshold=score_threshold,
        )
        return _output(copies, ranking)

    def _change(self, changes: Mapping[str, Any]) -> None:
        if "top_k" in changes:
            _check_top_k(changes["top_k"])
        # Not super(): the decorator replaces this class with another.
        EngineOptions._change(self, changes)

    def _texts(self, documents: Sequence[Document]) -> list[Any]:
        return [self._adapter.text(document.content, document.meta) for document in documents]


def _check_top_k(top_k: int | None) -> int | None:
    """Refuse what the engine would refuse, by the caller's name for it."""
    check_positive_int("top_k (resift's top_n)", top_k, "None")
    return top_k


def _read(documents: object) -> list[Document]:
    given: Any = documents
    return read_documents(given, Document, "haystack.Document")


def _copies(documents: Sequence[Document]) -> list[Document]:
    # replace() alone would share meta with the input.
    return copy_documents(
        documents, lambda each: replace(each, meta=deepcopy(each.meta)), lambda each: each.meta
    )


def _output(copies: Sequence[Document], ranking: Ranking) -> dict[str, list[Document]]:
    # Tracing may be off, or the tracer may not keep spans.
    if span := tracer.current_span():
        known = (item for item in TimingEvent.of(ranking).to_dict().items() if item[1] is not None)
        span.set_tags({f"resift.{name}": value for name, value in known})
    return {"documents": [replace(copies[r.index], score=r.score) for r in ranking]}
