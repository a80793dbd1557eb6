"""Lines of the log: one for each request, as JSON or text, without the texts that were sent."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

from resift.server.settings import LogFormat

ACCESS = logging.getLogger("resift.server.access")
_OWN = set(vars(logging.makeLogRecord({})))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, with whatever the record was given in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        said: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said |= extra_of(record)
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """The same for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line, above what was raised."""
        more = " ".join(f"{name}={value!s}" for name, value in extra_of(record).items())
        line = f"{super().formatMessage(record)} {more}".rstrip()
        # Names of models and paths come from outside: no control characters for the terminal.
        return "".join(each if each.isprintable() else "?" for each in line)


def extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that a record was given beside its message, without those that are ``None``."""
    return {
        name: value
        for name, value in vars(record).items()
        if name not in _OWN and name not in ("message", "asctime", "color_message")
        and value is not None
    }  # fmt: skip


def configure(log_format: LogFormat | None) -> None:
    """Have the process log to standard error, resift and uvicorn alike."""
    handler = logging.StreamHandler(sys.stderr)
    is_text = sys.stderr.isatty() if log_format is None else log_format == "text"
    handler.setFormatter(TextFormatter() if is_text else JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in ("resift", "uvicorn"):
        logging.getLogger(name).setLevel(logging.INFO)
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
    # Each request has a line of ours.
    logging.getLogger("uvicorn.access").disabled = True
