"""Downloads of single files by address: with time-outs, resumed, checked."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from resift.errors import ModelNotFoundError, UnsupportedModelError
from resift.models.store.cache import Cache
from resift.models.store.manifest import SHA256, sha256
from resift.redaction import shown


def fetch(
    url: str, cache: Cache, *, key: str, digest: str | None, size: int | None, token: bool
) -> Path:
    """Download a file into the cache, resuming where an earlier process broke off.

    ``key`` names the partial file. ``digest`` is the expected sha256 (other hashes are ignored) and
    ``size`` the expected number of bytes; ``None`` where unknown. ``token``: whether to send the
    user's token. Raises ``ModelNotFoundError`` where the download fails, ``UnsupportedModelError``
    where the sha256 differs.
    """
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    cache.create()
    part = cache.downloads / f"{re.sub(r'[^A-Za-z0-9.-]', '-', key)}.part"
    digest = digest if SHA256.fullmatch(digest or "") else None
    done = part.stat().st_size if part.is_file() else 0
    if done == 0 or (done != size and (digest is None or sha256(part) != digest)):
        try:
            with part.open("ab") as file:
                http_get(
                    url,
                    file,
                    resume_size=done,
                    headers=build_hf_headers() if token else None,
                    expected_size=size,
                    displayed_filename=PurePosixPath(urlsplit(url).path).name,
                )
        except Exception as error:
            if is_refusal(error):
                # The refusal may be of the partial file, so start over.
                part.unlink()
            raise not_got(url, error) from error
    found = sha256(part)
    if digest is not None and found != digest:
        part.unlink()
        raise UnsupportedModelError(
            f"{shown(url)} has the sha256 {found}; expected {digest}. It was replaced, or damaged "
            "on the way: try again, and if it stays so, don't use it"
        )
    return part


def not_got(url: str, error: Exception) -> ModelNotFoundError:
    """The error for a download that failed."""
    return ModelNotFoundError(
        f"can't get {shown(url)}: {shown(error)}. Check the address and the network; a later call "
        "goes on where this one broke off"
    )


def is_refusal(error: Exception) -> bool:
    """Whether a server refused the request, rather than being unreachable or busy."""
    from huggingface_hub.errors import HFValidationError

    response = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    if status is None:
        return isinstance(error, HFValidationError)
    return bool(status < 500 and status != 429)
