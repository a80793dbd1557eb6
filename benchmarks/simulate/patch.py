"""Makes libraries in a folder ask ``hide.so`` what the processor can do.

    python patch.py SITE_PACKAGES

In ONNX Runtime, OpenVINO, numpy, OpenBLAS and torch, each ``cpuid`` becomes a trap, two bytes for
two bytes. Without ``hide.so`` such a library ends its process, so this is for environments of their
own. x86-64 Linux, with ``objdump``; torch takes minutes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

LIBRARIES = (
    "onnxruntime/capi/*.so*",
    "openvino/libs/libopenvino.so*",
    "openvino/libs/libopenvino_intel_cpu_plugin.so",
    "numpy/_core/_multiarray_umath*.so",
    "numpy.libs/*openblas*",
    "torch/lib/libtorch_cpu.so",
    "torch/lib/libc10.so",
)
_CPUID, _TRAP = b"\x0f\xa2", b"\xcc\x90"


def main() -> None:
    """Patch all that are there, and say how often."""
    for pattern in LIBRARIES:
        for library in sorted(Path(sys.argv[1]).glob(pattern)):
            if library.is_file() and not library.is_symlink():
                sys.stdout.write(f"{library.name}: {patch(library)}\n")


def patch(library: Path) -> int:
    """Replace the instructions in a library's text; returns how many there were.

    Raises ``ValueError`` where something else is found in the place of one.
    """
    content = bytearray(library.read_bytes())
    places = _places(library)
    for place in places:
        if content[place : place + 2] != _CPUID:
            raise ValueError(f"{library.name}: no cpuid at byte {place}")
        content[place : place + 2] = _TRAP
    if places:
        mode = library.stat().st_mode
        # A new file: a running process may have the old one mapped.
        library.unlink()
        library.write_bytes(content)
        library.chmod(mode)
    return len(places)


def _places(library: Path) -> list[int]:
    """Offsets in the file. Two such bytes within another instruction are none."""
    headers = _objdump("-h", library)
    (section,) = re.findall(r" \.text +\w+ +(\w+) +\w+ +(\w+)", headers)
    address, offset = (int(each, 16) for each in section)
    listing = _objdump("-d", "--no-show-raw-insn", "-j", ".text", library)
    found = re.findall(r"^ *([0-9a-f]+):\s+cpuid", listing, re.MULTILINE)
    return [int(each, 16) - address + offset for each in found]


def _objdump(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["objdump", *arguments], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    return done.stdout


if __name__ == "__main__":
    main()
