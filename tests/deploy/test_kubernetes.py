from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from jobs import exits
from jobs.cli import cli
from jobs.config import load_settings
from jobs.settings import Settings
from tests.deploy.files import (
    CONFIG,
    DEPLOY,
    GRACE_SECONDS,
    PORT,
    STATE,
    development_tool,
    dockerfile_values,
    judge,
    load_document,
    load_documents,
    pod_specs,
    require_command,
    system_tool,
)

FOLDER = DEPLOY / "kubernetes"
MANIFESTS = ("configmap", "secret.example", "pvc", "deployment", "cronjob")
# The first in which podFailurePolicy is stable, and one of today.
RELEASES = ("1.31.0", "1.37.0")
PODS = [pytest.param(spec, id=name) for name, spec in pod_specs()]
Pod = Mapping[str, Any]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """What the ConfigMap says, read as the program reads it in the image."""
    path = tmp_path / "config.toml"
    path.write_text(load_document(FOLDER / "configmap.yaml")["data"]["config.toml"], encoding="utf-8")
    return load_settings(path, {})


def _deployment() -> dict[str, Any]:
    spec: dict[str, Any] = load_document(FOLDER / "deployment.yaml")["spec"]
    return spec


def _job() -> dict[str, Any]:
    spec: dict[str, Any] = load_document(FOLDER / "cronjob.yaml")["spec"]["jobTemplate"]["spec"]
    return spec


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", MANIFESTS)
def test_the_manifests_fit_the_schemas_of_kubernetes(name: str, release: str) -> None:
    tool = development_tool("kubernetes-validate")
    judge(tool, "--strict", "--kubernetes-version", release, FOLDER / f"{name}.yaml")


def test_kustomize_builds_the_folder(tmp_path: Path) -> None:
    built = tmp_path / "built.yaml"
    built.write_text(
        judge(system_tool("kubectl", "kubernetes-client"), "kustomize", FOLDER), encoding="utf-8"
    )
    assert [each["kind"] for each in load_documents(built)] == [
        "ConfigMap",
        "PersistentVolumeClaim",
        "Deployment",
    ]


def test_kustomize_is_told_of_files_that_exist_and_of_no_secret() -> None:
    resources = load_document(FOLDER / "kustomization.yaml")["resources"]
    assert all((FOLDER / each).is_file() for each in resources)
    assert not any("secret" in each for each in resources)


def test_the_configuration_in_the_config_map_can_be_used(settings: Settings) -> None:
    assert str(settings.snapshots.path) == f"{STATE}/snapshots"


def test_the_image_may_be_asked_from_outside_its_container(tmp_path: Path) -> None:
    if "health" not in Settings.model_fields:
        pytest.skip("the section [health] does not exist yet")
    path = tmp_path / "config.toml"
    path.write_text(load_document(FOLDER / "configmap.yaml")["data"]["config.toml"], encoding="utf-8")
    words = " ".join(dockerfile_values("ENV")).split()
    environ = dict(word.split("=", 1) for word in words)
    health = load_settings(path, environ).model_dump()["health"]
    assert (health["host"], health["port"]) == ("0.0.0.0", PORT)  # noqa: S104 # within a container
    assert environ["PIPEFY_USAGE_CONFIG"] == CONFIG


@pytest.mark.parametrize("pod", PODS)
def test_every_secret_that_the_configuration_names_is_mounted(pod: Pod, settings: Settings) -> None:
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounted = {
        f"{mount['mountPath']}/{item['path']}": item["key"]
        for mount in pod["containers"][0]["volumeMounts"]
        for item in volumes[mount["name"]].get("secret", {}).get("items", [])
    }
    named = {str(settings.accounts[0].client_secret_file), str(settings.database.url_file)}
    assert named == set(mounted)
    variables = {
        each["name"]: each["valueFrom"]["secretKeyRef"]["key"] for each in pod["containers"][0]["env"]
    }
    assert settings.accounts[0].client_id_env in variables
    example = load_document(FOLDER / "secret.example.yaml")
    assert {*mounted.values(), *variables.values()} == set(example["stringData"])


@pytest.mark.parametrize("pod", PODS)
def test_the_pods_start_commands_that_exist(pod: Pod) -> None:
    words = pod["containers"][0]["args"]
    assert words[1:] == ["--config", CONFIG]
    if words[0] == "serve" and "serve" not in cli.commands:
        pytest.skip("the command serve does not exist yet")
    require_command(words)


@pytest.mark.parametrize("pod", PODS)
def test_the_pods_may_do_as_little_as_possible(pod: Pod) -> None:
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True
    assert [f"{security['runAsUser']}:{security['runAsGroup']}"] == dockerfile_values("USER")
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("pod", PODS)
def test_what_is_written_has_a_place_on_a_volume(pod: Pod) -> None:
    writable = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"] if not m.get("readOnly")}
    assert writable == {STATE, "/tmp"}  # noqa: S108 # a path in the container


@pytest.mark.parametrize("pod", PODS)
def test_the_batch_in_hand_may_end_before_kubernetes_kills(pod: Pod) -> None:
    assert pod["terminationGracePeriodSeconds"] > GRACE_SECONDS


def test_the_probes_ask_the_port_of_the_service() -> None:
    (container,) = _deployment()["template"]["spec"]["containers"]
    assert container["ports"] == [{"name": "health", "containerPort": PORT}]
    assert _deployment()["template"]["metadata"]["annotations"]["prometheus.io/port"] == str(PORT)
    paths = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert {probe: get["path"] for probe, get in paths.items()} == {
        "startup": "/healthz",
        "liveness": "/healthz",
        "readiness": "/readyz",
    }
    assert {get["port"] for get in paths.values()} == {"health"}


def test_there_is_never_a_second_service() -> None:
    assert _deployment()["replicas"] == 1
    assert _deployment()["strategy"] == {"type": "Recreate"}


def test_a_job_is_given_up_by_the_exit_status_of_its_run() -> None:
    _, by_exit = _job()["podFailurePolicy"]["rules"]
    assert by_exit["action"] == "FailJob"
    assert by_exit["onExitCodes"]["values"] == [exits.SOME_FAILED, exits.LOCKED]
    assert _job()["template"]["spec"]["restartPolicy"] == "Never"


def test_a_run_may_take_as_long_as_its_deadline_allows(settings: Settings) -> None:
    assert _job()["activeDeadlineSeconds"] > settings.export.deadline_seconds
    assert _deployment()["progressDeadlineSeconds"] > settings.export.deadline_seconds
