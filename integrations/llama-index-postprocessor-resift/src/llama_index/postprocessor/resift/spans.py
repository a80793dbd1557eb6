"""The engine's phases as spans of LlamaIndex's instrumentation."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from llama_index.core.instrumentation import Dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.dispatcher import (  # type: ignore[attr-defined]
    active_instrument_tags,
)
from llama_index.core.instrumentation.events.span import (  # type: ignore[attr-defined]
    SpanDropEvent,
)
from llama_index.core.instrumentation.span import active_span_id

from resift import Observer, Phase

_NO_ARGUMENTS = inspect.Signature().bind()


class PhaseSpans(Observer):
    """Opens a child of the active span for each phase, named ``"<name>.<phase>"``.

    The active span is a context variable, which the engine's worker threads inherit: the parent
    is the caller's span in asynchronous calls too.
    """

    def __init__(self, dispatcher: Dispatcher, name: str) -> None:
        self._dispatcher = dispatcher
        self._name = name

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Open a span for one phase, as ``Dispatcher.span`` does; drop it if the phase raises."""
        # Handlers take what comes before the first hyphen for the span's name.
        id_ = f"{self._name}.{name}-{uuid4()}"
        parent_id = active_span_id.get()
        token = active_span_id.set(id_)
        self._dispatcher.span_enter(
            id_, _NO_ARGUMENTS, parent_id=parent_id, tags=active_instrument_tags.get()
        )
        try:
            yield
        except BaseException as error:
            self._dispatcher.event(SpanDropEvent(span_id=id_, err_str=str(error)))
            self._dispatcher.span_drop(id_, _NO_ARGUMENTS, err=error)
            raise
        else:
            self._dispatcher.span_exit(id_, _NO_ARGUMENTS)
        finally:
            active_span_id.reset(token)
