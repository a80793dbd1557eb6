"""The files of deploy/ and the Dockerfile, against the server that they are for."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import tiny_models
import yaml
from dockerfiles import instructions
from server.served import Served, serve

from resift.cli.main import _parser
from resift.server.config import Config
from resift.server.openapi import document
from resift.server.settings import Limits, Record, Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DEFAULTS = Settings()
GETS = {path for path, methods in document()["paths"].items() if "get" in methods}
# What a scraped sample has from Prometheus itself.
SCRAPED = {"instance", "job", "le"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose metrics have a sample of everything."""
    folder = tmp_path_factory.mktemp("deployed")
    with serve("--model", str(tiny_models.build(folder / "tiny"))) as running:
        for body in ({"documents": ["good", "a b"]}, {"documents": [1]}):
            running.http.post("/v1/rank", json={"query": "a", **body})
        yield running


def given(name: str) -> list[str]:
    return [rest for each, rest in instructions(ROOT / "Dockerfile") if each == name]


def command_line() -> list[str]:
    (entry,), (command,) = given("ENTRYPOINT"), given("CMD")
    program, *first = json.loads(entry)
    assert program == "resift"
    return [*first, *json.loads(command)]


def test_the_image_is_made_of_files_that_exist_and_are_not_left_out() -> None:
    let_through = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    sources = [
        source
        for copy in given("COPY")
        if "--from" not in copy
        for source in shlex.split(copy)[:-1]
    ]
    assert "src" in sources
    for source in sources:
        path = source.removeprefix("./")
        assert (ROOT / path).exists(), path
        assert f"!{path}" in let_through, path
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert {project["readme"], *project["license-files"]} <= set(sources)
    (extras,) = given("ARG")
    wanted = set(extras.partition("=")[2].split(","))
    assert {"server", "tracing"} <= wanted <= project["optional-dependencies"].keys()


def test_the_image_serves_at_its_port_and_not_as_root() -> None:
    parsed = _parser().parse_args(command_line())
    assert parsed.host == "0.0.0.0"
    port = parsed.port or DEFAULTS.port
    assert given("EXPOSE") == [str(port)]
    assert f"http://127.0.0.1:{port}/health/ready" in given("HEALTHCHECK")[0]
    (user,) = given("USER")
    assert int(user.split(":")[0]) > 0
    # Refused without keys, which is what its comment says.
    assert not Settings(host=parsed.host).is_local


def test_the_images_health_check_tells_ready_from_not(served: Served) -> None:
    (check,) = given("HEALTHCHECK")
    python, *arguments = json.loads(check.partition("CMD ")[2])
    assert python == "python"
    own = f"127.0.0.1:{DEFAULTS.port}"
    there = str(served.http.base_url).removeprefix("http://").rstrip("/")
    for address, path, status in (
        (there, "ready", 0),
        (there, "nothing", 1),
        ("127.0.0.1:1", "", 1),
    ):
        code = [each.replace(own, address).replace("ready", path or "ready") for each in arguments]
        assert subprocess.run([sys.executable, *code]).returncode == status


def unit() -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((DEPLOY / "resift.service").read_text(encoding="utf-8"))
    return parser


def test_the_units_command_is_one_of_ours_and_stops_in_time() -> None:
    service = unit()["Service"]
    program, *words = shlex.split(service["ExecStart"])
    assert Path(program).name == "resift"
    parsed = _parser().parse_args(words)
    assert Path(parsed.config).name == "resift.toml"
    # The key's file, as systemd hands it over.
    assert parsed.keys_file == f"%d/{service['LoadCredential'].partition(':')[0]}"
    config = Config.read(DEPLOY / "resift.toml")
    assert service["KillSignal"] == "SIGTERM"
    assert int(service["TimeoutStopSec"]) > config.settings.shutdown_seconds + 5
    assert service["DynamicUser"] == "yes"


def test_the_example_configuration_has_every_setting_with_its_default() -> None:
    path = DEPLOY / "resift.toml"
    config = Config.read(path)
    assert [each.name for each in config.models] == ["small", "nano", "fast"]
    text = path.read_text(encoding="utf-8")
    for table, kind in (("server", Settings), ("limits", Limits), ("record", Record)):
        part = text.partition(f"[{table}]\n")[2].partition("\n[")[0]
        rows = re.findall(r"^(# )?(\w+) = ([^#\n]+)(?:# *(.*))?$", part, flags=re.MULTILINE)
        assert [name for _, name, _, _ in rows if name not in {x.name for x in fields(kind)}] == []
        assert {name for _, name, _, _ in rows} == {each.name for each in fields(kind)}
        for hidden, name, value, comment in rows:
            if not hidden and "default" not in comment:
                assert tomllib.loads(f"x = {value}")["x"] == getattr(kind(), name), name
    # What is shown as a comment must be as valid as the rest.
    shown = re.sub(r"^# (?=\w+ = |\[)", "", text, flags=re.MULTILINE)
    assert tomllib.loads(shown)["models"].keys() >= {"hosted", "best"}


def manifests() -> dict[str, Any]:
    text = (DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


@pytest.fixture
def deployed(tmp_path: Path) -> Config:
    """The configuration that the pods get."""
    path = tmp_path / "resift.toml"
    path.write_text(manifests()["ConfigMap"]["data"]["resift.toml"], encoding="utf-8")
    return Config.read(path)


def test_pods_get_the_configuration_and_the_time_that_it_says(deployed: Config) -> None:
    found = manifests()
    pod = found["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    parsed = _parser().parse_args(container["args"])
    mounts = {each["mountPath"]: each for each in container["volumeMounts"]}
    assert mounts[parsed.config]["subPath"] in found["ConfigMap"]["data"]
    settings = deployed.settings
    assert not settings.is_local
    assert settings.keys_file is not None
    assert str(Path(settings.keys_file).parent) in mounts
    assert container["ports"][0]["containerPort"] == settings.port
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert pod["terminationGracePeriodSeconds"] > pause + settings.shutdown_seconds + 5
    assert settings.drain_seconds < settings.shutdown_seconds
    memory = int(container["resources"]["limits"]["memory"].removesuffix("Gi")) * 2**30
    bodies = deployed.limits.all_bodies_bytes
    assert (settings.memory_mb or 0) * 10**6 + bodies < memory
    assert [each.name for each in deployed.models if each.preload]


def test_pods_are_probed_where_the_server_answers() -> None:
    pod = manifests()["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ports = {each["name"] for each in container["ports"]}
    paths = {}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] in ports
        assert asked["path"] in GETS
        paths[probe] = asked["path"]
    # A model that can't rank is no reason for a restart.
    assert paths["livenessProbe"] == "/health/live"
    assert paths["readinessProbe"] == "/health/ready"
    annotations = manifests()["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] in GETS


def test_manifests_refer_to_each_other(deployed: Config) -> None:
    found = manifests()
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    name = found["Deployment"]["metadata"]["name"]
    selectors = [
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(each.items() <= labels.items() for each in selectors)
    assert found["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"] == name
    assert "replicas" not in found["Deployment"]["spec"]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    volumes = {each["name"]: each for each in pod["volumes"]}
    (container,) = pod["containers"]
    assert {each["name"] for each in container["volumeMounts"]} == volumes.keys()
    assert volumes["config"]["configMap"]["name"] == found["ConfigMap"]["metadata"]["name"]
    # The image's user, in numbers.
    (user,) = given("USER")
    assert user == f"{pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}"
    assert deployed.settings.open_metrics


def samples(served: Served) -> dict[str, set[str]]:
    """The labels of each metric of a running server."""
    found: dict[str, set[str]] = {}
    for sample in served.metrics():
        name, _, labels = sample.partition("{")
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def queries() -> dict[str, str]:
    """Every query of the dashboard and the alerts, by its place."""
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in board["panels"]
        for target in panel.get("targets", ())
    }
    for each in board["templating"]["list"]:
        if each["type"] == "query":
            found[f"${each['name']}"] = each["definition"]
    alerts = yaml.safe_load((DEPLOY / "prometheus-alerts.yaml").read_text(encoding="utf-8"))
    for rule in alerts["groups"][0]["rules"]:
        found[rule["alert"]] = rule["expr"]
    return found


# A metric, and the labels that a query asks of it.
METRIC = re.compile(r"\b((?:resift|te|process)_\w+)(?:\{([^}]*)\})?")


@pytest.mark.parametrize("place", queries())
def test_queries_ask_for_what_the_server_has(served: Served, place: str) -> None:
    query, found = queries()[place], samples(served)
    names = METRIC.findall(query)
    assert names or query.startswith("up{")
    for name, selector in names:
        assert name in found
        assert set(re.findall(r"(\w+)[=!]", selector)) <= found[name] | SCRAPED
    # Labels of aggregations; "status" and the like come from one of the query's metrics.
    known = SCRAPED.union(*(found[name] for name, _ in names)) if names else SCRAPED
    for grouped in re.findall(r"(?:by|ignoring|on) \(([^)]*)\)", query):
        assert {each.strip() for each in grouped.split(",")} <= known


def test_the_dashboard_shows_every_metric_of_ours(served: Served) -> None:
    own = {name for name in samples(served) if name.startswith("resift_")}
    # Histograms by any of their parts.
    family = re.compile(r"_(bucket|count|sum)$")
    shown = {
        family.sub("", name) for query in queries().values() for name, _ in METRIC.findall(query)
    }
    assert {family.sub("", name) for name in own} - shown == set()


def test_panels_lie_beside_each_other() -> None:
    board = json.loads((DEPLOY / "grafana.json").read_text(encoding="utf-8"))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
