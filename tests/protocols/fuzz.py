"""Fuzz every decoder with atheris, guided by coverage, for as long as it is let.

    python -m pip install atheris
    PYTHONPATH=tests:src python tests/protocols/fuzz.py -max_total_time=600

Arguments are libFuzzer's. Without atheris, ``RESIFT_TEST_EXAMPLES=20000 python -m pytest
tests/protocols`` is the longer run.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import atheris
from hypothesis import given
from hypothesis import strategies as st

with atheris.instrument_imports(include=["resift.protocols"]):
    from protocols.strategies import SHAPES, requests, responses, spoilt

    from resift.protocols import Shape, WireError, dumps, loads


@given(shape=st.sampled_from(SHAPES), data=st.data())
def decode(shape: Shape, data: st.DataObject) -> None:
    """Read bodies in which anything may stand in the place of anything."""
    request = data.draw(requests(shape))
    body = loads(dumps(shape.encode_request(request)))
    with suppress(WireError):
        shape.decode_request(data.draw(spoilt(body)))
    said = loads(dumps(shape.encode_response(data.draw(responses(shape, request)), request)))
    with suppress(WireError):
        shape.decode_response(data.draw(spoilt(said)), request)
    shape.decode_failure(500, data.draw(st.binary()))
    if shape.about_path is not None:
        with suppress(WireError):
            shape.decode_about(data.draw(spoilt({"model_type": {"reranker": {}}})))


if __name__ == "__main__":
    atheris.Setup(sys.argv, decode.hypothesis.fuzz_one_input)  # type: ignore[attr-defined]
    atheris.Fuzz()
