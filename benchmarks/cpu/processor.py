"""Which processor this is: JSON, its class, and what the engines take it for.

    python processor.py

Runs in the environment ``reference``, so that a simulated class is seen as the systems see it.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from network import stay_offline

# The best feature for products in int8 names the class: torch's name for it, the best first.
_CLASSES = (
    ("avx512-vnni", "avx512_vnni"),
    ("avx512", "avx512_f"),
    ("avx-vnni", "avx_vnni"),
    ("avx2", "avx2"),
    ("arm64-i8mm", "i8mm"),
    ("arm64-dot", "dot"),
    ("arm64", "neon"),
)


def main() -> None:
    """Print it."""
    stay_offline()
    torch = import_module("torch")
    seen = {}
    for engine, look in _SEEN.items():
        try:
            seen[engine] = look()
        except Exception as error:
            seen[engine] = f"{type(error).__name__}: {error}"
    content = {"class": class_of(torch.cpu.get_capabilities()), "seen": seen}
    sys.stdout.write(json.dumps(content) + "\n")


def class_of(capabilities: Mapping[str, Any]) -> str:
    """The class of a processor, by the names of its features that ``torch.cpu`` has."""
    for name, feature in _CLASSES:
        if capabilities.get(feature):
            return name
    return platform.machine().lower() or "unknown"


def name() -> str:
    """The processor's own name, with its family and model where the system tells them."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    lines = path.read_text(encoding="utf-8").splitlines()
    # Of the first processor: what comes last wins.
    fields = dict(_field(line) for line in reversed(lines) if ":" in line)
    # Virtual machines hide the number of the model, but not its family.
    numbers = [f"{key} {fields[key]}" for key in ("cpu family", "model") if key in fields]
    found = fields.get("model name", platform.machine())
    return f"{found} ({', '.join(numbers)})" if numbers else found


def _field(line: str) -> tuple[str, str]:
    key, _, value = line.partition(":")
    return key.strip(), value.strip()


def _onnx() -> str:
    refused = import_module("resift.machine").processor().lacking("onnx", "int8")
    return "int8 refused" if refused else "int8 runs"


def _openvino() -> str:
    capabilities = import_module("openvino").Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return " ".join(sorted(capabilities))


_SEEN: dict[str, Callable[[], str]] = {
    "torch": lambda: str(import_module("torch").backends.cpu.get_cpu_capability()),
    "OpenVINO": _openvino,
    "resift on ONNX Runtime": _onnx,
}


if __name__ == "__main__":
    main()
