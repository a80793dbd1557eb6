"""FlashRank's models: zip archives in one repository on the hub, and folders it unpacked."""

from __future__ import annotations

from dataclasses import dataclass

from resift.checks import COMMIT
from resift.errors import ModelNotFoundError
from resift.models.artifacts import Wanted
from resift.models.catalogue import Listing
from resift.models.folder import ModelFiles
from resift.models.sources.archives import checked, known, not_in_cache, publish
from resift.models.store.cache import Cache
from resift.models.store.downloads import fetch, not_got


@dataclass(frozen=True, slots=True, kw_only=True)
class FlashRankArchive:
    """One of FlashRank's models, as FlashRank itself unpacks it."""

    listing: Listing
    revision: str | None
    cache: Cache
    offline: bool

    def describe(self, wanted: Wanted) -> None:
        """Return ``None``: only the catalogue describes the archive."""

    def fetch(self, wanted: Wanted) -> ModelFiles:  # noqa: ARG002
        """Download and unpack the archive; a folder that FlashRank filled is used as it is."""
        name, cache, revision = self.listing.name, self.cache, self.revision
        with cache.lock(name, create=not self.offline):
            if not cache.folder(name).is_dir():
                if self.offline:
                    raise not_in_cache(name, cache)
                url, commit, etag, size = _locate(self.listing, revision)
                archive = fetch(
                    url, cache, key=f"{name}-{etag}", digest=etag, size=size, token=True
                )
                try:
                    publish(archive, cache, name, name=name, revision=commit)
                finally:
                    archive.unlink()
            manifest = known(cache, name, name)
        if revision and COMMIT.fullmatch(revision) and manifest.revision != revision:
            raise ModelNotFoundError(
                f"{cache.root / name} holds {name} in revision {manifest.revision or 'unknown'}, "
                f"not {revision}; leave revision out, or run resift models remove {name} and get "
                "it again"
            )
        return checked(cache, name, manifest)


def _locate(
    listing: Listing, revision: str | None
) -> tuple[str, str | None, str | None, int | None]:
    """Ask the hub for a FlashRank archive: its address, commit, etag and size."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url = hf_hub_url(
        listing.repository, f"{listing.name}.zip", revision=revision or listing.revision
    )
    try:
        found = get_hf_file_metadata(url)
    # The client raises the exceptions of whichever HTTP library its release is built on.
    except Exception as error:
        raise not_got(url, error) from error
    return url, found.commit_hash, found.etag, found.size
