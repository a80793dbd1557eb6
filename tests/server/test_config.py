"""The configuration of a server: what a file may say, and what is said of one that is wrong."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from resift import Calibration, InvalidRequestError
from resift.options import declared
from resift.prior import Prior
from resift.scoring import Margin
from resift.server import recipes
from resift.server.config import COMMON, Config
from resift.server.lines import Place, lines_of
from resift.server.recipes import OfCache, OfCascade, OfModel, OfServer

Read = Callable[[str], Config]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(text: str) -> Config:
        path = tmp_path / "resift.toml"
        path.write_text(text, encoding="utf-8")
        return Config.read(path)

    return from_text


WHOLE = """\
[server]
port = 9000
threads = 2
memory_mb = 2048
strict_models = true

[limits]
max_queue_pairs = 500

[options]
max_length = 256
precision = "fp32"
normalization = { slope = 2, intercept = -1.5 }

[models.nano]
model = "resift-nano"
precision = "int8"

[models.small]
model = "resift-small"
aliases = ["rerank-v3.5", "BAAI/bge-reranker-v2-m3"]
default = true
preload = true
prune = "auto"
[models.small.prior]
place_weight = 0.2
score_weight = 1

[models.far]
remote = "https://api.example.com"
protocol = "cohere"
model = "rerank-v3.5"
timeout = 5
limits = { documents = 100 }
extra = { priority = 5 }
normalization = "none"

[models.both]
cascade = ["nano", "far", "small"]
keep = [30, { margin = 2 }]

[models.safe]
fallback = ["far", "both"]

[models."kept, always"]
cached = "safe"
max_bytes = 1000
folder = "logits"
"""


def test_a_file_says_everything(read: Read) -> None:
    config = read(WHOLE)
    assert (config.settings.port, config.settings.host) == (9000, "127.0.0.1")
    assert (config.settings.threads, config.settings.memory_mb) == (2, 2048)
    assert config.settings.strict_models
    assert config.limits.max_queue_pairs == 500
    models = {each.name: each for each in config.models}
    assert [(name, each.kind) for name, each in models.items()] == [
        ("nano", "local"),
        ("small", "local"),
        ("far", "remote"),
        ("both", "cascade"),
        ("safe", "fallback"),
        ("kept, always", "cached"),
    ]
    nano, small, far, both, safe, kept = models.values()
    assert [each.default for each in models.values()] == [False, True, *[False] * 4]
    assert small.aliases == ("rerank-v3.5", "BAAI/bge-reranker-v2-m3")
    assert (small.preload, nano.preload) == (True, False)
    assert isinstance(nano.recipe, OfModel)
    assert isinstance(small.recipe, OfModel)
    assert (nano.recipe.options.precision, small.recipe.options.precision) == ("int8", "fp32")
    assert (small.options.prune, nano.options.prune) == ("auto", None)
    assert small.options.prior == Prior(place_weight=0.2, score_weight=1.0)
    assert {each.options.max_length for each in models.values()} == {256}
    assert both.options.normalization == Calibration(slope=2, intercept=-1.5)
    assert far.options.normalization == "none"
    assert isinstance(far.recipe, OfServer)
    assert far.recipe.url == "https://api.example.com"
    assert (far.recipe.keywords["model"], far.recipe.keywords["timeout"]) == ("rerank-v3.5", 5)
    assert far.recipe.keywords["limits"].documents == 100
    assert far.recipe.keywords["extra"] == {"priority": 5}
    assert isinstance(both.recipe, OfCascade)
    assert (both.recipe.parts, both.recipe.keep) == (("nano", "far", "small"), (30, Margin(2)))
    assert safe.recipe.parts == ("far", "both")
    assert isinstance(kept.recipe, OfCache)
    assert kept.recipe.parts == ("safe",)
    assert kept.recipe.keywords == {"max_bytes": 1000, "folder": "logits"}


def test_the_first_model_is_the_default(read: Read) -> None:
    config = read('[models.b]\nmodel = "resift-nano"\n[models.a]\nmodel = "resift-small"\n')
    assert [(each.name, each.default) for each in config.models] == [("b", True), ("a", False)]


def test_without_models_it_is_the_usual_one(read: Read) -> None:
    (only,) = read('[options]\nprecision = "fp32"\nprune = "auto"\n').models
    assert (only.name, only.default, only.options.prune) == ("resift-small", True, "auto")
    assert isinstance(only.recipe, OfModel)
    assert only.recipe.options.precision == "fp32"
    assert read("").models == Config.of().models


def test_one_model_without_a_file() -> None:
    config = Config.of(model="resift-nano", threads=2, max_queue_pairs=7, max_length=64)
    (only,) = config.models
    assert (only.name, only.kind, only.default, only.preload) == (
        "resift-nano", "local", True, True,
    )  # fmt: skip
    assert (config.settings.threads, config.limits.max_queue_pairs) == (2, 7)
    assert isinstance(only.recipe, OfModel)
    assert only.recipe.options.threads is None
    assert only.options.max_length == 64
    with pytest.raises(TypeError, match="topn"):
        Config.of(topn=3)
    for name, wrong in (("max_length", 0), ("backend", "abacus")):
        with pytest.raises(InvalidRequestError, match=name):
            Config.of(**{name: wrong})


def test_a_folder_is_named_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (only,) = Config.of(model=tmp_path / "mine").models
    assert only.name == "mine"


def test_every_option_of_a_model_can_be_given(read: Read) -> None:
    values: dict[str, Any] = {"revision": "main", "device": "cpu", "cache_dir": "x", "prior": 0.5}
    values |= {"score_threshold": 0.5, "deadline_ms": 100.0, "offline": True, "backend": "onnx"}
    values |= {"on_error": "first_stage", "long_documents": "windows", "normalization": "none"}
    values |= {"prune": "off", "precision": "fp32", "max_length": 9, "max_documents": 9}
    values |= {
        "max_batch_tokens": 9,
        "max_document_tokens": 9,
        "trust_remote_code": False,
        "model": "resift-nano",
    }
    # One in place of device; of a call alone; shared; functions and secrets.
    others = {"devices", "top_n", "threads", "max_queue_pairs", "max_queue_tokens"}
    assert values.keys() | others | {"token", "on_timing"} == declared().keys()
    lines = [f"{name} = {json.dumps(each)}" for name, each in values.items()]
    (entry,) = read("\n".join(["[models.a]", *lines])).models
    assert isinstance(entry.recipe, OfModel)
    for name, each in values.items():
        holder = entry.recipe.options if hasattr(entry.recipe.options, name) else entry.options
        assert getattr(holder, name) == each, name


A = '[models.a]\nmodel = "resift-nano"\n'
FAR = '[models.far]\nremote = "https://host"\n'

WRONG: list[tuple[str, int, list[str]]] = [
    # No TOML.
    ("[server]\nport = \n", 2, ["isn't TOML"]),
    ("a = 1\na = 2\n", 2, ["isn't TOML"]),
    ('\n\n[server]\nhost = """', 4, ["isn't TOML"]),
    # Unknown names.
    (A + "\n[sever]\n", 4, ["sever", "did you mean 'server'?"]),
    (A + "[server]\nprot = 80\n", 4, ["server.prot", "did you mean 'port'?", "memory_mb"]),
    ("[limits]\nmax_queue_pair = 8\n", 2, ["did you mean 'max_queue_pairs'?"]),
    (A + 'precison = "int8"\n', 3, ["models.a.precison", "'precision'"]),
    (A + "# protocol\nprotocol = 1\n", 4, ["models.a.protocol isn't known beside 'model'"]),
    ('[options]\nmodel = "x"\n', 2, ["options.model"]),
    ('[options]\nprun = "auto"\n', 2, ["did you mean 'prune'?"]),
    (f"{FAR}protocol = 'tei'\nbackend = 'onnx'\n", 4, ["models.far.backend", "remote"]),
    (f"{FAR}protocol = 'tei'\nlimits = {{ docs = 1 }}\n", 4, ["models.far.limits.docs"]),
    (A + '"a key" = 1\n', 3, ['models.a."a key"']),
    # Wrong types and values.
    (A + '[server]\nport = "80"\n', 4, ["server.port must be an integer, not '80'"]),
    ("[server]\nport = true\n", 2, ["server.port must be an integer, not True"]),
    ("[server]\nhost = 1\n", 2, ["server.host must be a string, not 1"]),
    ("server = 1\n", 1, ["server must be a table, such as [server]"]),
    ("\n[server]\nport = 1\nmemory_mb = 0\n", 4, ["memory_mb must be an int of at least 1"]),
    ("[server]\nstrict_models = 1\n", 2, ["must be true or false"]),
    (A + 'aliases = "b"\n', 3, ["models.a.aliases must be a list, each a string, not 'b'"]),
    (A + "aliases = [1]\n", 3, ["models.a.aliases"]),
    (A + "default = 1\n", 3, ["models.a.default must be true or false, not 1"]),
    (A + "preload = 'yes'\n", 3, ["models.a.preload"]),
    (A + "max_length = 0\n", 3, ["max_length must be an int of at least 1"]),
    (A + 'prune = "on"\n', 3, ["prune must be one of", "'on'"]),
    ('[options]\n\nprune = "on"\n' + A, 3, ["prune must be one of", "'on'"]),
    (A + "prior = { place_weigth = 1 }\n", 3, ["prior must be", "place_weigth"]),
    (A + "[models.a.prior]\nplace_weight = -1\n", 3, ["place_weight", "-1"]),
    (A + "normalization = { slope = 0, intercept = 0 }\n", 3, ["slope > 0"]),
    (A + 'prune = "auto"\nnormalization = "softmax"\n', 4, ["prune='auto'"]),
    (A + 'device = "cpu"\ndevices = ["cpu"]\n', 4, ["devices=['cpu']"]),
    (A + "trust_remote_code = true\n", 3, ["full commit"]),
    ("[models]\na = 1\n", 2, ["models.a must be a table, such as [models.a]"]),
    ("[models.a]\nmodel = 1\n", 2, ["model must be a name or a path, not 1"]),
    # What a file, or a model, can't have.
    (A + "threads = 2\n", 3, ["all models share threads: give it in [server]"]),
    (A + "max_queue_pairs = 2\n", 3, ["[limits]"]),
    ("[options]\nthreads = 2\n", 2, ["all models share threads: give it in [server]"]),
    (A + "top_n = 2\n", 3, ["top_n is for each call"]),
    (A + "on_timing = 2\n", 3, ["on_timing is a function"]),
    # Kinds.
    ("[models.a]\n", 1, ["exactly one of model, remote, cascade, fallback, cached", "none"]),
    (A + 'cached = "b"\n', 3, ["exactly one of", "model and cached"]),
    (FAR, 2, ["[models.far] needs protocol"]),
    (f"{FAR}protocol = 'tie'\n", 3, ["protocol must be one of", "'tie'"]),
    (f"{FAR}protocol = 'cohere'\n", 3, ["needs model"]),
    (f"{FAR}protocol = 'tei'\ntimeout = -1\n", 4, ["timeout must be seconds above 0, not -1"]),
    (f"{FAR}protocol = 'tei'\nextra = 1\n", 4, ["models.far.extra must be a table"]),
    ("[models.a]\nprotocol = 'tei'\nremote = 'ftp://a'\n", 3, ["url must be the address"]),
    ("[models.a]\nremote = 1\nprotocol = 'tei'\n", 2, ["models.a.remote must be a string"]),
    (A + '[models.b]\ncascade = ["a", "a"]\n', 3, ["[models.b] needs keep"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [1, 2]\n', 5, ["keep=[1, 2]"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [0]\n', 5, ["keep[0] must be", "0"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margn = 1 }]\n', 5, ["keep.0.margn"]),
    (A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margin = -1 }]\n', 5, ["margin must be"]),
    (
        A + '[models.b]\ncascade = ["a", "a"]\nkeep = [{ margin = true }]\n',
        5,
        ["number, not True"],
    ),
    (A + '[models.b]\ncascade = ["a"]\nkeep = []\n', 5, ["at least two scorers"]),
    (A + '[models.b]\ncascade = "a"\nkeep = []\n', 4, ["must be a list of names of models"]),
    (A + '[models.b]\nfallback = ["a"]\n', 4, ["to fall back to"]),
    (A + '[models.b]\ncached = ["a"]\n', 4, ["models.b.cached must be a string"]),
    (A + '[models.b]\ncached = "a"\nmax_bytes = 0\n', 5, ["max_bytes"]),
    (A + '[models.b]\ncached = "a"\nfolder = 1\n', 5, ["folder must be a path"]),
    # Names.
    (A + '[models.b]\ncached = "aa"\n', 4, ["there is no model 'aa'; did you mean 'a'?"]),
    (A + '[models.b]\nfallback = ["a",\n"z"]\n', 4, ["there is no model 'z'", "['a', 'b']"]),
    (A + '[models.b]\nmodel = "b"\naliases = ["c", "a"]\n', 5, ["'a' is already a name of 'a'"]),
    (A + 'aliases = ["c", "c"]\n', 3, ["'c' is already a name of 'a'"]),
    (A + 'aliases = [""]\n', 3, ["an alias is empty"]),
    ('[models." "]\nmodel = "b"\n', 1, ["a model must have a name"]),
    (f"{A}default = true\n[models.b]\nmodel = 'b'\ndefault = true\n", 6, ["'a' is the default"]),
    # Circles.
    ('[models.a]\ncached = "a"\n', 2, ["a → a"]),
    (
        '[models.a]\nfallback = ["n", "b"]\n[models.n]\nmodel = "m"\n[models.b]\ncached = "a"\n',
        2,
        ["a → b → a"],
    ),
    # What isn't there.
    (A + 'backend = "abacus"\n', 3, ["abacus"]),
    (A + 'device = "abacus"\n', 3, ["no backend has a device 'abacus'"]),
]


@pytest.mark.parametrize(("text", "line", "parts"), WRONG, ids=range(len(WRONG)))
def test_an_error_names_the_line(read: Read, text: str, line: int, parts: list[str]) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(text)
    message = str(caught.value)
    assert re.match(r".*resift\.toml:(\d+): ", message), message
    assert f"resift.toml:{line}: " in message
    assert [each for each in parts if each not in message] == [], message


def test_a_backend_that_is_not_installed(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "resift.backends.choice.find_spec", lambda x: None if x == "openvino" else find_spec(x)
    )
    with pytest.raises(InvalidRequestError, match=r"toml:4: in \[models.a\], backend 'openvino'"):
        read(A + '\nbackend = "openvino"\n')


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match=r"none\.toml can't be read: No such file"):
        Config.read(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes(b"# \xe9")
    with pytest.raises(InvalidRequestError, match="it isn't UTF-8"):
        Config.read(path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbf" + A.replace("\n", "\r\n").encode() + b"\r\nprnue = 1\r\n")
    with pytest.raises(InvalidRequestError, match=r"a\.toml:4: models\.a\.prnue"):
        Config.read(path)


SECRET = "sk-6b1f0b2d"


def test_a_key_comes_from_elsewhere(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", SECRET)
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    for line in ('key_env = "THEIR_KEY"', f"key_file = '{tmp_path / 'key'}'"):
        config = read(f"{FAR}protocol = 'tei'\n{line}\n")
        (entry,) = config.models
        assert isinstance(entry.recipe, OfServer)
        assert entry.recipe.key == SECRET
        assert SECRET not in repr(config)
    for line in ('token_env = "THEIR_KEY"', f"token_file = '{tmp_path / 'key'}'"):
        config = read(A + line)
        (entry,) = config.models
        assert isinstance(entry.recipe, OfModel)
        assert entry.recipe.options.token == SECRET
        assert SECRET not in repr(config)


@pytest.mark.parametrize(
    "line",
    [
        f'key = "{SECRET}"',
        f'key_env = "{SECRET}"',
        f'key_file = "{SECRET}"',
        f'key_env = ["{SECRET}"]',
        'key_env = "MISSING_KEY"',
        'key_env = "EMPTY_KEY"',
        'key_file = "missing"',
        'key_env = "BROKEN_KEY"',
        'key_env = "THEIR_KEY"\nkey_file = "key"',
    ],
)
def test_a_wrong_key_is_never_shown(read: Read, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING_KEY", raising=False)
    monkeypatch.setenv("EMPTY_KEY", " ")
    monkeypatch.setenv("BROKEN_KEY", f"{SECRET} {SECRET}")
    monkeypatch.setenv("THEIR_KEY", SECRET)
    with pytest.raises(InvalidRequestError) as caught:
        read(f"{FAR}protocol = 'tei'\n{line}\n")
    last = 3 + len(line.splitlines())
    assert re.search(r"toml:(\d+): .*key", str(caught.value))
    assert f":{last}: " in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_token_of_the_hub_is_never_shown(read: Read) -> None:
    for line in (f'token = "{SECRET}"', f'token_env = "{SECRET}"'):
        with pytest.raises(InvalidRequestError, match="token_env") as caught:
            read(A + line)
        assert SECRET not in str(caught.value)


def test_what_else_is_sent_is_never_shown(read: Read) -> None:
    config = read(f"{FAR}protocol = 'tei'\nextra = {{ api_key = '{SECRET}' }}\n")
    assert SECRET not in repr(config)


def test_credentials_of_an_address_are_never_shown(read: Read) -> None:
    with pytest.raises(InvalidRequestError, match="no credentials") as caught:
        read(f"[models.a]\nremote = 'https://me:{SECRET}@host'\nprotocol = 'tei'\n")
    assert SECRET not in str(caught.value)


VALUES = [
    "1", "'it'", '"a \\" [b] # c"', "'''\n[no]\n'it'''''", '"""\nno = 1 \\""" ""\n"""""', "[]",
    "[ # a ]\n 1, ']',\n [2] ]", "{ a = 1, b = [\n{ c = '}' }] }", "2026-01-01T00:00:00Z", '""',
    "''", '""""""', "0x1F # a = 'b", "-inf", '[ """a"""", "]",\n"" ]', "[ '''a'''', ']',\n1 ]",
    "[ # it's ]\n]",
]  # fmt: skip
KEYS = [
    ("k{}", ["k{}"]), ('"k {}"', ["k {}"]), ("'k.{}'", ["k.{}"]), ("k{} . 'a' ", ["k{}", "a"]),
    ('"\\u00e9{}"."]"', ["é{}", "]"]), ('"#{}"', ["#{}"]), ("{}", ["{}"]),
]  # fmt: skip
BETWEEN = ["", "\n", "# [a] = '''", "  ", "\t# x\n\n"]


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_each_key_has_its_line(data: st.DataObject) -> None:
    text = "# first\n[ a . b ] # ]\n"
    table: Place = ("a", "b")
    wanted: dict[Place, int] = {("a",): 2, ("a", "b"): 2}

    def name(place: Place, parts: list[str]) -> Place:
        for part in parts:
            place = (*place, part)
            wanted.setdefault(place, text.count("\n") + 1)
        return place

    for number in range(data.draw(st.integers(0, 6))):
        key, forms = data.draw(st.sampled_from(KEYS))
        key, parts = key.format(number), [each.format(number) for each in forms]
        place: Place = table
        for element in range(data.draw(st.integers(0, 2))):
            place = (*name(("a", "b"), parts), element)
            wanted[place] = text.count("\n") + 1
            text += f" [[ a.b.{key}]]\n"
            if data.draw(st.booleans()):
                place = name(place, ["x"])
                text += f"[a.'b'.{key}.x]\n"
        table = place
        name(table, parts)
        text += (
            f"{key} = {data.draw(st.sampled_from(VALUES))}\n{data.draw(st.sampled_from(BETWEEN))}\n"
        )
    tomllib.loads(text)
    assert lines_of(text) == wanted
    assert lines_of(text.replace("\n", "\r\n")) == wanted


PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_page_shows_files_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERE_API_KEY", "key")
    path = Path("models.toml")
    tokens = MarkdownIt().parse(PAGE.read_text(encoding="utf-8"))
    blocks = [(each.info, each.content) for each in tokens if each.type == "fence"]
    assert [language for language, _ in blocks] == ["toml", "toml", "", "toml"]
    for (_, text), (following, error) in pairwise([*blocks, ("", "")]):
        path.write_text(text, encoding="utf-8")
        if error and not following:
            with pytest.raises(InvalidRequestError) as caught:
                Config.read(path)
            assert str(caught.value).startswith(error.strip().removesuffix("..."))
        elif text.strip() and not text.startswith("models.toml:"):
            assert len(Config.read(path).models) > 2


def test_the_page_names_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = {*recipes.KEYS, *COMMON, "keep", "max_bytes", "folder", "key_env", "key_file"}
    assert [each for each in sorted(known) if f"`{each}`" not in page] == []
