"""Names and versions that a model's distribution may have."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from resift.errors import InvalidRequestError
from resift.models.catalogue import listings
from resift.models.packages import NAME, packaged_models
from resift.plugins import normal

# The canonical form of PEP 440, in its appendix B, and a local part. Only this form, so that the
# version is spelt the same everywhere.
_NUMBER = "(?:0|[1-9][0-9]*)"
_VERSION = re.compile(
    rf"(?:[1-9][0-9]*!)?{_NUMBER}(?:\.{_NUMBER})*(?:(?:a|b|rc){_NUMBER})?"
    rf"(?:\.post{_NUMBER})?(?:\.dev{_NUMBER})?(?:\+[a-z0-9]+(?:\.[a-z0-9]+)*)?"
)


def check_version(given: str) -> str:
    """Return a version in the canonical form of PEP 440; else raise ``InvalidRequestError``."""
    if not _VERSION.fullmatch(given):
        raise InvalidRequestError(
            f"--version {given!r} isn't a version as packages spell it; expected numbers with "
            "dots, such as 1.2.0, 1.2.0rc1, 1.2.0.post1 or 1.2.0+acme.1"
        )
    return given


def check_name(given: str) -> str:
    """Return a name that a distribution may have and that nothing else has.

    Raises ``InvalidRequestError`` naming what has it: a model of resift, of its catalogue or of
    another distribution, or a distribution of something else.
    """
    if not NAME.fullmatch(given):
        raise InvalidRequestError(
            f"--name {given!r} isn't the name of a distribution; expected letters, digits, '.', "
            "'_' and '-', with a letter or a digit first and last, such as acme-ranker"
        )
    owners = [
        f"{each.origin} has a model {each.name!r}"
        for each in packaged_models()
        if normal(each.name) == normal(given) and normal(each.distribution) != normal(given)
    ]
    owners += [
        f"resift's catalogue has a model {each!r}"
        for each in listings()
        if normal(each) == normal(given)
    ]
    known = {normal(each.distribution) for each in packaged_models() if not each.is_ours}
    found = None if normal(given) in known else _installed_version(given)
    if found is not None:
        owners.append(f"{given} {found} is installed, and has no model")
    if owners:
        raise InvalidRequestError(
            f"--name {given!r} is taken: {'; '.join(owners)}. Choose another name, such as one "
            "that begins with your organisation's"
        )
    return given


def _installed_version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
