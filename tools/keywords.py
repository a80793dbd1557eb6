"""Write what is read off the declarations of options, and of a server's settings.

    python tools/keywords.py           write all
    python tools/keywords.py --check   fail where they would change

Of src/resift/options.py: the keywords as type checkers and editors see them, which Python can't
compute for them, in src/resift/keywords.py; and the table of docs/contract.md. Of
src/resift/server/settings.py: the tables of docs/serving.md; of actors.py: that of docs/ray.md.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import Field, fields
from pathlib import Path
from textwrap import fill
from typing import Any

from resift import options
from resift.declaring import Option, Place
from resift.options import LoadOptions, RankOptions
from resift.server.actors import ActorPool
from resift.server.settings import Limits, Record, Settings

ROOT = Path(__file__).parents[1]
KEYWORDS = ROOT / "src/resift/keywords.py"
PAGE = ROOT / "docs/contract.md"
SERVING = ROOT / "docs/serving.md"
RAY = ROOT / "docs/ray.md"

_TABLE = r"(?<=<!-- {0} -->\n).*?(?=<!-- end of {0} -->)"
_HEAD = '''\
"""The options as keywords and attributes, for type checkers and editors.

Written by ``python tools/keywords.py`` from ``resift.options``; change them there.
"""

from __future__ import annotations

'''
_CODE = re.compile(r'"[^"]+"|\b(?:True|False|None|HF_TOKEN|TimingEvent|[a-z]+(?:_[a-z]+)+)\b')
_OBSERVER = ("observer", "Observer | None", "an observer of this call's phases and progress")
_ADAPTERS_OWN = ("top_n", "score_threshold")

Line = tuple[str, str, str]


def declarations() -> list[tuple[Field[Any], Option]]:
    """Every option, in the order of the table."""
    found = [each for kind in (LoadOptions, RankOptions) for each in fields(kind)]
    return [(each, each.metadata["option"]) for each in found]


def keywords() -> str:
    """The text of ``resift.keywords``."""
    made = list(lines("made"))
    engine = [each for each in made if each[0] not in _ADAPTERS_OWN]
    shared = [each for each in engine if each[0] not in ("device", "token")]
    loading = {each.name for each in fields(LoadOptions)} - {"model", "on_timing"}
    data = {each.name for each, declared in declarations() if declared.kind == "data"}
    classes = [
        typed_dict("InitOptions", "of ``Reranker``, except its first", made[1:]),
        typed_dict(
            "LocalOptions", "of ``Local``, except its first", [x for x in made if x[0] in loading]
        ),
        typed_dict("SharedOptions", "of ``Reranker`` that are the same in every framework", shared),
        typed_dict("RerankerOptions", "of ``Reranker`` that an adapter passes on", engine),
        typed_dict("ScoreOptions", "of ``Reranker.score``", [*lines("score"), _OBSERVER]),
        typed_dict("CallOptions", "of ``Reranker.rank``", [*lines("rank"), _OBSERVER]),
        "class DataOptions:\n"
        '    """The engine\'s options as attributes of adapters: those that can be saved."""\n\n'
        + "".join(attribute((n, saved(kind), text)) for n, kind, text in engine if n in data),
    ]
    body = "\n\n".join(classes)
    return f"{_HEAD}{imports(body)}\n\n{body}"


def lines(place: Place) -> Iterator[Line]:
    """Name, type and meaning of the options that are taken there."""
    for each, declared in declarations():
        if place in declared.at:
            # None at call time is: not given.
            optional = place == "made" or "None" in str(each.type) or each.type == "Token"
            yield each.name, f"{each.type}{'' if optional else ' | None'}", declared.meaning


def typed_dict(name: str, which: str, content: Iterable[Line]) -> str:
    """A class of keywords."""
    head = f'class {name}(TypedDict, total=False):\n    """The keywords {which}."""\n\n'
    return head + "".join(map(attribute, content))


def saved(kind: str) -> str:
    """The type of what an adapter shows, which JSON has too."""
    return kind.replace(" | os.PathLike[str]", "").replace("Sequence[", "list[")


def attribute(line: Line) -> str:
    """One name with its type, and its meaning as a docstring."""
    name, kind, meaning = line
    text = fill(f'"""{meaning[0].upper()}{meaning[1:]}."""', 96)
    return f"    {name}: {kind}\n" + "".join(f"    {each}\n" for each in text.split("\n"))


def imports(body: str) -> str:
    """The imports of what the types name, as ``resift.options`` has them."""
    tree = ast.parse(body)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    source = Path(str(options.__file__)).read_text(encoding="utf-8")
    found = {"resift.telemetry": {"Observer"}, "typing": {"TypedDict"}, "resift.options": set()}
    plain = []
    for node in ast.parse(source).body:
        names = {alias.name for alias in getattr(node, "names", ())} & used
        if isinstance(node, ast.Import):
            plain += sorted(names)
        elif isinstance(node, ast.ImportFrom):
            found.setdefault(str(node.module), set()).update(names)
        elif isinstance(node, (ast.Assign, ast.ClassDef)):
            targets = [node] if isinstance(node, ast.ClassDef) else node.targets
            defined = {getattr(each, "name", getattr(each, "id", "")) for each in targets}
            found["resift.options"] |= defined & used
    written = [f"from {module} import {', '.join(sorted(n))}" for module, n in found.items() if n]
    ours = sorted(each for each in written if each.startswith("from resift"))
    others = sorted(set(written) - set(ours))
    return "\n".join([*(f"import {name}" for name in plain), *others, "", *ours, ""])


def table() -> str:
    """The table of the contract, in Markdown."""
    rows = ["| keyword | default | taken by | meaning |", "|---|---|---|---|"]
    for each, declared in declarations():
        default = json.dumps(each.default) if isinstance(each.default, str) else repr(each.default)
        places = ", ".join(f"`{'Reranker' if x == 'made' else x}`" for x in declared.at)
        meaning = _CODE.sub(r"`\g<0>`", declared.meaning)
        see = f"; see {declared.see}" if declared.see else ""
        rows.append(f"| `{each.name}` | `{default}` | {places} | {meaning}{see} |")
    return "".join(f"{row}\n" for row in rows)


def settings(kind: type) -> str:
    """The table of a server's settings, limits or recording, in Markdown."""
    rows = ["| key | default | meaning |", "|---|---|---|"]
    for each in fields(kind):
        declared: Option = each.metadata["option"]
        default = "" if each.default is None else f"`{as_toml(each.default)}`"
        # TOML has no None.
        said = re.sub(r"\bNone(?= is| does)", "left out, it", declared.meaning)
        meaning = _CODE.sub(r"`\g<0>`", said)
        rows.append(f"| `{each.name}` | {default} | {meaning} |")
    return "".join(f"{row}\n" for row in rows)


def as_toml(value: object) -> str:
    """A value as one writes it in the file."""
    if isinstance(value, str | bool | tuple):
        return json.dumps(value)
    return f"{value:_}" if isinstance(value, int) and value > 9999 else str(value)


def with_tables(path: Path, tables: Mapping[str, str]) -> str:
    """The text of a page with these tables, each between its comments."""
    page = path.read_text(encoding="utf-8")
    for name, text in tables.items():
        place = re.compile(_TABLE.format(name), re.DOTALL)
        page = place.sub(text.replace("\\", r"\\"), page)
    return page


def main() -> int:
    """Write or compare; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    kinds = {"settings": Settings, "limits": Limits, "record": Record}
    tables = {name: settings(kind) for name, kind in kinds.items()}
    stale = False
    for path, text in (
        (KEYWORDS, keywords()),
        (PAGE, with_tables(PAGE, {"options": table()})),
        (SERVING, with_tables(SERVING, tables)),
        (RAY, with_tables(RAY, {"ray": settings(ActorPool)})),
    ):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if check:
            name = path.relative_to(ROOT).as_posix()
            sys.stderr.write(f"{name} isn't what is declared: run python tools/keywords.py\n")
        else:
            path.write_text(text, encoding="utf-8")
    return int(check and stale)


if __name__ == "__main__":
    sys.exit(main())
