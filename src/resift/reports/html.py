"""HTML from strings, and whole pages: whatever isn't ``Safe`` is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib.resources import files

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


class Safe(str):
    """HTML that was made here."""

    __slots__ = ()


Part = str | Iterable["Part"]


def joined(parts: Part) -> Safe:
    """Parts one after the other, texts escaped and made printable."""
    if isinstance(parts, Safe):
        return parts
    if isinstance(parts, str):
        text = "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in parts)
        return Safe(escape(text))
    return Safe("".join(joined(each) for each in parts))


def tag(name: str, *parts: Part, **attributes: str) -> Safe:
    """An element; an attribute ``class_`` is ``class``."""
    given = "".join(f' {key.rstrip("_")}="{joined(each)}"' for key, each in attributes.items())
    return Safe(f"<{name}{given}>{joined(parts)}</{name}>")


def table(caption: Part, header: Sequence[str], rows: Iterable[Sequence[Part]]) -> Safe:
    """A table whose first cell of each row is its header; it scrolls by itself where it is wide."""
    head = tag("tr", [tag("th", each, scope="col") for each in header])
    body = [
        tag("tr", tag("th", first, scope="row"), [tag("td", each) for each in others])
        for first, *others in rows
    ]
    whole = tag("table", tag("caption", caption), tag("thead", head), tag("tbody", body))
    return tag(
        "div", whole, class_="wide", tabindex="0", role="region", **{"aria-label": _plain(caption)}
    )


def page(title: str, command: str, *body: Part) -> str:
    """A page that is one file, without scripts; ``command`` is what made it."""
    css = files("resift.reports").joinpath("page.css").read_text(encoding="utf-8")
    head = [
        Safe('<meta charset="utf-8">'),
        Safe(f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'),
        Safe('<meta name="viewport" content="width=device-width, initial-scale=1">'),
        Safe(f'<meta name="generator" content="{command}">'),
        tag("title", title),
        tag("style", Safe(css)),
    ]
    shown = tag("body", tag("main", tag("h1", title), body))
    return f"<!DOCTYPE html>\n{tag('html', tag('head', head), shown, lang='en')}\n"


def printable(text: str) -> str:
    """A line without control characters: names and ids are other people's."""
    return "".join(each if each.isprintable() else " " for each in text)


def figure(svg: str) -> Safe:
    """A plot; it scrolls by itself, and by keyboard, where it would be too small to read."""
    return tag("figure", Safe(svg), class_="wide", tabindex="0")


def _plain(part: Part) -> str:
    return part if isinstance(part, str) else "".join(map(_plain, part))
