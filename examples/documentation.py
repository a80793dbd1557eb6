"""The passages that the examples search: the Python documentation of this installation."""

from __future__ import annotations

import importlib
import inspect
import pydoc_data.topics
import warnings
from collections.abc import Iterator

MODULES = """argparse asyncio bisect collections concurrent.futures contextlib copy csv dataclasses
datetime difflib enum functools glob gzip hashlib heapq http.client inspect io itertools json
logging math multiprocessing operator os pathlib pickle pprint queue random re sched secrets
shelve shutil signal socket sqlite3 statistics string struct subprocess tempfile textwrap
threading time timeit traceback types typing unittest urllib.parse urllib.request uuid
weakref zipfile zlib"""


def documentation() -> dict[str, str]:
    """The passages by name, each text once, under the first of its names."""
    names: dict[str, str] = {}
    with warnings.catch_warnings():
        # The standard library's own deprecations, met while reading its docstrings.
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, text in _passages():
            names.setdefault(text, name)
    return {name: text for text, name in names.items()}


def _passages() -> Iterator[tuple[str, str]]:
    """Name and text of each topic of the language reference, and of each documented object."""
    for name, text in pydoc_data.topics.topics.items():
        yield f"reference:{name}", text
    for module_name in MODULES.split():
        module = importlib.import_module(module_name)
        for name, thing in inspect.getmembers(module):
            if name.startswith("_") or not (inspect.isclass(thing) or inspect.isroutine(thing)):
                continue
            own = inspect.getdoc(thing)
            if own and getattr(thing, "__module__", None) == module_name:
                yield f"{module_name}.{name}", own
            if inspect.isclass(thing):
                for method, function in inspect.getmembers(thing, inspect.isroutine):
                    doc = inspect.getdoc(function)
                    if doc and not method.startswith("_") and len(doc) > 40:
                        yield f"{module_name}.{name}.{method}", doc
