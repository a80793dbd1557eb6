"""A Hugging Face hub on 127.0.0.1, as far as its client needs one to download a model.

Small files are answered as the hub does, with a redirect on the same host; large ones (by suffix)
with a redirect to where blobs are kept, their size and sha256 in ``X-Linked-*`` headers.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_LARGE = (".zip", ".onnx", ".onnx_data", ".data", ".bin", ".safetensors")
_INFO = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)(?:/revision/(?P<revision>.+))?")
_TREE = re.compile(r"/api/models/(?P<name>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
_RESOLVE = re.compile(r"/(?P<name>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
_CONTENT = re.compile(
    r"/(api/resolve-cache/models|blobs)/(?P<name>[^/]+/[^/]+)/(?P<revision>[^/]+)/(?P<path>.+)"
)
_RANGE = re.compile(r"bytes=(?P<start>\d+)-")


@dataclass
class Repository:
    """Branches and tags to commits, commits to files."""

    revisions: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = False


@dataclass
class Hub:
    """The content that is served, and a record of the requests."""

    endpoint: str = ""
    blobs: str = ""
    """The other host's name, as the client takes metadata from any answer of the hub itself."""
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    """Method and path of each, in order."""
    headers: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Path and lower-case headers of each GET, in order."""
    broken: re.Pattern[str] | None = None
    """Paths that are answered with ``status``."""
    status: HTTPStatus = HTTPStatus.INTERNAL_SERVER_ERROR
    hanging: re.Pattern[str] | None = None
    """Paths that get no answer as long as the server lives, ``hangs`` times."""
    hangs: int = 1
    delay: float = 0
    """Seconds before large files are sent."""
    cuts: int = 0
    """The number of further answers with large files that break off in the middle."""
    replaced: dict[str, bytes] = field(default_factory=dict)
    """Content sent instead of the files with these paths, though the real one is announced."""
    ended: threading.Event = field(default_factory=threading.Event)

    def commit(
        self, name: str, files: Path | Mapping[str, bytes], *, revision: str = "main"
    ) -> str:
        """Put a folder or files into a repository, as all there is; returns the commit."""
        if isinstance(files, Path):
            found = sorted(path for path in files.rglob("*") if path.is_file())
            files = {path.relative_to(files).as_posix(): path.read_bytes() for path in found}
        described = repr((name, revision, sorted(files.items())))
        sha = hashlib.sha1(described.encode(), usedforsecurity=False).hexdigest()
        repository = self.repositories.setdefault(name, Repository())
        repository.commits[sha] = dict(files)
        repository.revisions[revision] = sha
        return sha

    def fetched(self, name: str) -> list[str]:
        """The files of a repository whose content was asked for, sorted, with repeats."""
        gets = [_CONTENT.fullmatch(path) for method, path in self.requests if method == "GET"]
        return sorted(match["path"] for match in gets if match and match["name"] == name)


@contextmanager
def serve() -> Iterator[Hub]:
    """A hub of no repositories, until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        hub.endpoint = f"http://127.0.0.1:{server.server_port}"
        hub.blobs = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.ended.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet: ``Hub.requests`` has it all."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append((self.command, path))
        if self.command == "GET":
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.hub.headers.append((path, headers))
        if self.hub.hanging and self.hub.hangs and self.hub.hanging.search(path):
            self.hub.hangs -= 1
            self.hub.ended.wait()
            return None
        if self.hub.broken and self.hub.broken.search(path):
            return self._send(self.hub.status, b"")
        for pattern, answer in (
            (_TREE, self._tree),
            (_INFO, self._info),
            (_CONTENT, self._content),
            (_RESOLVE, self._resolve),
        ):
            if match := pattern.fullmatch(path):
                return self._answer_for(match, answer)
        return self._refuse(HTTPStatus.NOT_FOUND, "", "no such page")

    def _answer_for(self, match: re.Match[str], answer: Callable[..., None]) -> None:
        repository = self.hub.repositories.get(match["name"])
        if repository is None:
            # To those who aren't logged in, the hub doesn't say whether it is missing or private.
            return self._refuse(HTTPStatus.UNAUTHORIZED, "RepoNotFound", "Repository not found")
        revision = match["revision"] or "main"
        sha = repository.revisions.get(revision, revision)
        if sha not in repository.commits:
            return self._refuse(HTTPStatus.NOT_FOUND, "RevisionNotFound", f"no {revision}")
        files, path = repository.commits[sha], match.groupdict().get("path")
        if path is None:
            return answer(match["name"], sha, files)
        if repository.gated:
            return self._refuse(HTTPStatus.FORBIDDEN, "GatedRepo", "Access is restricted")
        if path not in files:
            return self._refuse(HTTPStatus.NOT_FOUND, "EntryNotFound", f"no {path}", commit=sha)
        return answer(match["name"], sha, path, files[path])

    def _info(self, name: str, sha: str, files: Mapping[str, bytes]) -> None:
        siblings = [{"rfilename": path} for path in files]
        self._send_json({"id": name, "modelId": name, "sha": sha, "siblings": siblings})

    def _tree(self, name: str, sha: str, files: Mapping[str, bytes]) -> None:
        entries: list[dict[str, Any]] = []
        for path, content in files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": _git_id(content)}
            if path.endswith(_LARGE):
                lfs = {"oid": _sha256(content), "size": len(content), "pointerSize": 134}
                entry["lfs"] = lfs
            entries.append(entry)
        self._send_json(entries)

    def _resolve(self, name: str, sha: str, path: str, content: bytes) -> None:
        if path.endswith(_LARGE):
            headers = {
                "Location": f"{self.hub.blobs}/blobs/{name}/{sha}/{path}",
                "X-Linked-ETag": f'"{_sha256(content)}"',
                "X-Linked-Size": str(len(content)),
            }
            status = HTTPStatus.FOUND
        else:
            headers = {"Location": f"/api/resolve-cache/models/{name}/{sha}/{path}"}
            status = HTTPStatus.TEMPORARY_REDIRECT
        self._send(status, b"", {**headers, "X-Repo-Commit": sha})

    def _content(self, name: str, sha: str, path: str, content: bytes) -> None:
        if self.path.startswith("/blobs/"):
            time.sleep(self.hub.delay)
        content = self.hub.replaced.get(path, content)
        self._send_file(content, {"ETag": f'"{_git_id(content)}"', "X-Repo-Commit": sha})

    def _send_file(self, content: bytes, headers: Mapping[str, str]) -> None:
        match = _RANGE.match(self.headers.get("Range", ""))
        headers = {**headers, "Accept-Ranges": "bytes"}
        if match is None:
            return self._send(HTTPStatus.OK, content, headers)
        start = int(match["start"])
        if start >= len(content):
            return self._send(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, b"", headers)
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers = {**headers, "Content-Range": span}
        return self._send(HTTPStatus.PARTIAL_CONTENT, content[start:], headers)

    def _send_json(self, value: object) -> None:
        body = json.dumps(value).encode()
        self._send(HTTPStatus.OK, body, {"Content-Type": "application/json"})

    def _refuse(
        self, status: HTTPStatus, code: str, message: str, *, commit: str | None = None
    ) -> None:
        headers = {"X-Error-Code": code, "X-Error-Message": message}
        if commit is not None:
            headers["X-Repo-Commit"] = commit
        self._send(status, json.dumps({"error": message}).encode(), headers)

    def _send(
        self, status: HTTPStatus, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.hub.cuts and self.path.startswith("/blobs/"):
            self.hub.cuts -= 1
            self.wfile.write(body[: len(body) // 2])
            self.close_connection = True
        else:
            self.wfile.write(body)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _git_id(content: bytes) -> str:
    header = f"blob {len(content)}\0".encode()
    return hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
