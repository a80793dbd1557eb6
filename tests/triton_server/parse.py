"""Reads ``config.pbtxt`` as Triton does: with its own protobuf. Paths in; JSON out, one a line."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import tritonclient
from google.protobuf import json_format, text_format

# By its path: its package wants grpcio, which none of this needs.
SCHEMA: dict[str, Any] = runpy.run_path(
    str(Path(tritonclient.__path__[0], "grpc/model_config_pb2.py"))
)

for each in sys.argv[1:]:
    text = Path(each).read_text(encoding="utf-8")
    config = text_format.Parse(text, SCHEMA["ModelConfig"]())
    found = json_format.MessageToDict(config, preserving_proto_field_name=True)
    sys.stdout.write(json.dumps(found) + "\n")
