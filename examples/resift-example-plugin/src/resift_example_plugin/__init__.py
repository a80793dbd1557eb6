"""A backend and a family for resift: how much of a query's words a document has."""

from resift.backends import BackendEntry
from resift_example_plugin.family import Overlap
from resift_example_plugin.fitting import fit

__all__ = ["BACKEND", "Overlap", "fit"]

BACKEND = BackendEntry(
    "resift_example_plugin.backend",
    "OverlapBackend",
    requires=["numpy"],
    install="resift-example-plugin",
    devices=["cpu"],
    formats=["npy"],
    runs={"fp32": ["fp32"]},
)
