"""Checks what is in packaging/ by the tools that can be had anywhere: the unit by systemd, the manifests by the schemas of
Kubernetes, and all settings in them by the program itself. Nothing of it is run here: that is tests/packaging/deb.

    target/manifests/bin/python tests/packaging/checks.py      (DOORWARD names the program)
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
DOORWARD = pathlib.Path(os.environ["DOORWARD"]).resolve()
KUBERNETES = "1.32"


def run(*command, **options):
    """The output of a command that must succeed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}:\n{done.stdout}")
    return done.stdout


def settings_are_known(environment, config=None):
    """The program takes these variables, and this file of settings."""
    with tempfile.TemporaryDirectory() as folder:
        secret, database = pathlib.Path(folder, "root"), pathlib.Path(folder, "database")
        secret.write_text("T9k2vQ8xW4mZ7rB1nL6cH3yJ5dF0gS-p\n")
        database.write_text("postgres://doorward:sesame@database/doorward?sslmode=disable\n")
        for file in (secret, database):
            file.chmod(0o600)
        environment = dict(environment, PATH=os.environ["PATH"])
        for name, file in (("DOORWARD_SECRET_FILE", secret), ("DOORWARD_DATABASE_FILE", database)):
            if name in environment:
                environment[name] = str(file)
        arguments = []
        if config is not None:
            pathlib.Path(folder, "doorward.toml").write_text(config)
            arguments = ["--config", "doorward.toml"]
        return run(DOORWARD, "config", "check", *arguments, env=environment, cwd=folder)


def systemd():
    if not shutil.which("systemd-analyze"):
        print("SKIPPED: the unit. It needs Debian's package systemd")
        return
    unit = (PACKAGING / "doorward.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "doorward.service")
        # It is in no folder of programs here, and its user is made by the package.
        copy.write_text(unit.replace("ExecStart=doorward ", f"ExecStart={DOORWARD} "))
        said = run("systemd-analyze", "verify", "--man=no", copy)
    assert "doorward.service" not in said, said
    settings_are_known({}, (PACKAGING / "doorward.toml").read_text())


def kubernetes():
    objects = list(yaml.safe_load_all((PACKAGING / "kubernetes/doorward.yaml").read_text()))
    for one in objects:
        kubernetes_validate.validate(one, KUBERNETES, strict=True)
    of = {one["kind"]: one for one in objects}
    pods = of["Deployment"]["spec"]["template"]
    (container,) = pods["spec"]["containers"]
    assert pods["spec"]["securityContext"]["runAsNonRoot"] and container["securityContext"]["readOnlyRootFilesystem"]
    labels = pods["metadata"]["labels"].items()
    for kind, selector in (
        ("Service", of["Service"]["spec"]["selector"]),
        ("PodDisruptionBudget", of["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]),
        ("NetworkPolicy", of["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]),
        ("Deployment", of["Deployment"]["spec"]["selector"]["matchLabels"]),
    ):
        assert selector.items() <= labels, kind
    paths = {container[probe]["httpGet"]["path"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"/healthz", "/readyz"}
    run(DOORWARD, *container["args"][:1], "--help")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    environment = {pair["name"]: pair["value"] for pair in container["env"]}
    for path in environment.values():
        assert path.startswith(mounts["secrets"] + "/"), path
    settings_are_known(environment, of["ConfigMap"]["data"]["doorward.toml"])


def container():
    lines = (PACKAGING / "container/Containerfile").read_text().replace("\\\n", " ").splitlines()
    said = {line.split(" ", 1)[0]: line.split(" ", 1)[1] for line in lines if line and not line.startswith("#")}
    assert not said["USER"].startswith(("0", "root")), said["USER"]
    health = yaml.safe_load(re.search(r"CMD (\[.*\])", said["HEALTHCHECK"]).group(1))
    assert health[0] == "doorward"
    run(DOORWARD, *health[1:], "--help")
    ours = dict(pair.split("=", 1) for pair in said["ENV"].split())
    settings_are_known({**ours, "DOORWARD_PUBLIC_URL": "https://accounts.example.com"})

    folder = PACKAGING / "container"
    compose = yaml.safe_load((folder / "compose.yaml").read_text())
    used = set()
    for name, service in compose["services"].items():
        used |= set(service["secrets"])
        for variable, value in service["environment"].items():
            if variable.endswith("_FILE"):
                assert value.removeprefix("/run/secrets/") in service["secrets"], f"{name}: {variable}"
        assert set(service.get("depends_on", {})) <= set(compose["services"])
    assert used == set(compose["secrets"])
    doorward = compose["services"]["doorward"]
    build = doorward["build"]
    assert (folder / build["context"] / build["dockerfile"]).is_file()
    assert doorward["read_only"] and doorward["cap_drop"] == ["ALL"]
    # `${NAME:-value}` and `${NAME:?such as value}`.
    filled = {name: re.sub(r"\$\{\w+:(?:-|\?such as )(.*)\}", r"\1", value)
              for name, value in doorward["environment"].items()}
    settings_are_known({**ours, **filled})


def debian():
    if not (shutil.which("dpkg-deb") and shutil.which("objdump")):
        print("SKIPPED: the package for Debian. It needs dpkg and binutils")
        return
    for script in ("postinst", "prerm", "postrm"):
        run("sh", "-n", PACKAGING / "debian" / script)
    with tempfile.TemporaryDirectory() as folder:
        quick = dict(os.environ, DPKG_DEB_COMPRESSOR_TYPE="none")
        package = run(ROOT / "scripts/deb", DOORWARD, folder, env=quick).strip()
        there = {line.split()[5]: line.split()[:2] for line in run("dpkg-deb", "--contents", package).splitlines()}
        for path, mode in (
            ("./usr/bin/doorward", "-rwxr-xr-x"),
            ("./usr/lib/systemd/system/doorward.service", "-rw-r--r--"),
            ("./etc/doorward/doorward.toml", "-rw-r--r--"),
            ("./usr/share/doc/doorward/copyright", "-rw-r--r--"),
        ):
            assert there[path] == [mode, "root/root"], f"{path}: {there.get(path)}"
        assert re.search(r"libc6 \(>= 2\.\d+\)", run("dpkg-deb", "--field", package, "Depends"))


for check in (systemd, kubernetes, container, debian):
    check()
    print(f"packaging: {check.__name__} ok")
