"""The .deb as an operator meets it: installed with dpkg on a machine, joined, upgraded, removed, purged.

The machine is this one under an overlay: what is installed is seen there alone, in a mount namespace of the test's.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import missing
from opencen import __version__
from sites import URL, Site, Sites, made_sites, wait_until
from support import inside, require_namespaces, run

pytestmark = pytest.mark.netns
ROOT = Path(__file__).parents[2]
HIDE_FROM_HOST = ("ProtectSystem", "ProtectHome", "PrivateTmp", "PrivateDevices", "ProtectKernel", "ProtectControl")
HIDE_FROM_HOST += ("ReadOnlyPaths", "InaccessiblePaths", "BindPaths", "TemporaryFileSystem", "PrivateMounts=yes")


@dataclass(frozen=True)
class Built:
    wheel: Path
    deb: Path


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """By the one command, out of a copy of what is here, once per session."""
    require_namespaces()
    for tool in ("dpkg-deb", "systemd-analyze"):
        if shutil.which(tool) is None:
            missing(f"{tool} is not installed")
    target = tmp_path_factory.mktemp("package")
    environment = os.environ | {"DIST": str(target), "DEB_COMPRESSION": "none"}
    done = subprocess.run(
        [str(ROOT / "tools" / "package")], capture_output=True, text=True, timeout=170, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    (wheel,), (deb,) = target.glob("*.whl"), target.glob("*.deb")
    return Built(wheel, deb)


@dataclass
class Machine:
    """A root of its own: the files of this machine, and what has been changed on top."""

    root: Path
    keeper: subprocess.Popen[str]

    def enter(self, *argv: str, namespace: str | None = None) -> list[str]:
        into = [f"--mount=/proc/{self.keeper.pid}/ns/mnt", *([f"--net=/run/netns/{namespace}"] if namespace else [])]
        return ["nsenter", *into, "chroot", str(self.root), *argv]

    def run(self, *argv: str, namespace: str | None = None) -> str:
        command = self.enter(*argv, namespace=namespace)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def has(self, path: str) -> bool:
        return subprocess.run(self.enter("test", "-e", path), check=False, timeout=30).returncode == 0


_KEEPER = """set -e
mount -t tmpfs machine "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
for part in proc sys dev run; do mount --rbind "/$part" "$1/root/$part"; done
mkdir -p "$1/root/tmp/package"
mount --bind "$2" "$1/root/tmp/package"
echo ready
read -r _
"""


@pytest.fixture(scope="module")
def machine(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("machine")
    argv = ["unshare", "--mount", "--propagation", "slave", "bash", "-c", _KEEPER, "keeper", str(folder)]
    keeper = subprocess.Popen([*argv, str(built.deb.parent)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert keeper.stdin is not None
    assert keeper.stdout is not None
    try:
        if keeper.stdout.readline().strip() != "ready":
            missing("this kernel mounts no overlay over its root")
        yield Machine(folder / "root", keeper)
    finally:
        keeper.communicate("end\n", timeout=20)


@pytest.fixture(scope="module")
def installed(machine: Machine, built: Built) -> Machine:
    machine.run("dpkg", "--install", f"/tmp/package/{built.deb.name}")
    return machine


def test_the_wheel_has_what_the_program_reads(built: Built) -> None:
    names = zipfile.ZipFile(built.wheel).namelist()
    for wanted in ("units/opencen-gateway.service", "console/catalogues/en.json", "lab/default.toml", "py.typed"):
        assert f"opencen/{wanted}" in names
    assert not [name for name in names if name.startswith(("tests", "bench"))]


def test_the_installed_program_is_of_the_package_alone(installed: Machine) -> None:
    assert installed.run("/usr/bin/opencen", "version").strip() == f"opencen {__version__}"
    where = installed.run("/opt/opencen/bin/python", "-c", "import opencen, nicegui; print(opencen.__file__, nicegui)")
    assert where.count("/opt/opencen/lib/") == 2
    assert installed.run("dpkg", "--status", "opencen").count("Status: install ok installed") == 1
    as_service = ("runuser", "-u", "opencen", "--", "opencen", "tls", "init", "--data", "/var/lib/opencen")
    assert "server certificate" in installed.run(*as_service, "--name", "192.0.2.10")


@pytest.mark.parametrize(("unit", "exposure"), [("opencen.service", 2.0), ("opencen-gateway.service", 5.0)])
def test_the_units_are_right_and_sandboxed(installed: Machine, unit: str, exposure: float) -> None:
    path = f"/usr/lib/systemd/system/{unit}"
    assert installed.run("systemd-analyze", "verify", "--man=no", path) == ""
    judged = json.loads(installed.run("systemd-analyze", "security", "--offline=true", "--json=short", path))
    score = installed.run("systemd-analyze", "security", "--offline=true", path).rpartition(": ")[2].split()[0]
    assert float(score) <= exposure, judged


def test_the_gateways_unit_lets_the_host_see_its_namespaces_and_kills_nothing_but_the_agent(installed: Machine) -> None:
    """Named namespaces are mounts: one option that gives the unit mounts of its own, and links die with the agent."""
    text = installed.run("cat", "/usr/lib/systemd/system/opencen-gateway.service")
    settings = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert not [line for line in settings if line.startswith(HIDE_FROM_HOST)]
    assert "KillMode=process" in settings


def test_a_host_with_the_package_joins_is_upgraded_and_removed(
    installed: Machine, built: Built, tmp_path: Path
) -> None:
    with made_sites(tmp_path) as sites:
        host = sites.add("us-west-1")
        peer = sites.add("cn-hangzhou")
        cen_id = sites.connect(20)
        sites.join(peer)
        peer.declare()
        peer.start()

        token = sites.token("us-west-1")
        assert "works" in installed.run("opencen", "gateway", "check", namespace=host.namespace)
        said = installed.run("opencen", "gateway", "join", URL, "--token", token, namespace=host.namespace)
        assert "start it with  opencen gateway run\n" in said
        _declare(installed, host)
        with (tmp_path / "agent.log").open("wb") as log:
            argv = installed.enter(*_as_the_unit(installed), "opencen", "gateway", "run", namespace=host.namespace)
            agent = subprocess.Popen(argv, stdout=log, stderr=log)
        try:
            sites.wait_active(cen_id)
            assert "1 received" in inside(host.host, "ping", "-c", "1", "-W", "5", "10.2.0.10")

            installed.run("dpkg", "--install", f"/tmp/package/{built.deb.name}")
            assert agent.poll() is None
            assert "1 received" in inside(host.host, "ping", "-c", "1", "-W", "5", "10.2.0.10")
        finally:
            agent.terminate()
            agent.wait(20)
        _remove_and_purge(installed, sites, host)


def _as_the_unit(machine: Machine) -> list[str]:
    """With no more capabilities than the unit has, and no way to gain any."""
    text = machine.run("cat", "/usr/lib/systemd/system/opencen-gateway.service")
    (names,) = re.findall(r"^CapabilityBoundingSet=(.*)$", text, re.MULTILINE)
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in names.split())
    assert "NoNewPrivileges=yes" in text
    return ["setpriv", f"--bounding-set=-all,{kept}", "--no-new-privs"]


def _declare(machine: Machine, host: Site) -> None:
    row = f'[[networks]]\nnetwork = "{host.network_id}"\ninterface = "lan0"\naddress = "10.{host.octet}.0.1/24"\n'
    machine.run("sh", "-c", 'printf "%s" "$1" >>/etc/opencen/gateway.toml', "sh", row)


def _remove_and_purge(machine: Machine, sites: Sites, host: Site) -> None:
    """Removed: the kernel is clean and the membership is kept. Purged: nothing is left."""
    with sites.admin() as client:
        gateway_id = next(
            item["id"] for item in client.get("/v1/gateways")["items"] if item["region_id"] == "us-west-1"
        )
    assert "lan0" not in inside(host.namespace, "ip", "-br", "link")
    said = machine.run("dpkg", "--remove", "opencen", namespace=host.namespace)
    assert "the server still counts on this gateway" in said
    wait_until(lambda: "lan0" in inside(host.namespace, "ip", "-br", "link"), lambda: said)
    assert gateway_id not in run("ip", "netns", "list")
    assert machine.has("/var/lib/opencen-gateway/credential")
    assert not machine.has("/opt/opencen")
    machine.run("dpkg", "--purge", "opencen", namespace=host.namespace)
    for path in ("/var/lib/opencen-gateway", "/etc/opencen", "/usr/bin/opencen", "/var/lib/opencen"):
        assert not machine.has(path), path
    assert subprocess.run(machine.enter("getent", "passwd", "opencen"), check=False, timeout=30).returncode != 0
