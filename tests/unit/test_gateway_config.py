"""The gateway's configuration file: what is accepted, and what a refusal says."""

from __future__ import annotations

from pathlib import Path

import pytest

from opencen.gateway.config import ConfigError, GatewayConfig, load


def written(folder: Path, text: str, credential: str = "gw-1:secret\n", mode: int = 0o600) -> Path:
    secret = folder / "credential"
    secret.write_text(credential)
    secret.chmod(mode)
    path = folder / "gateway.toml"
    path.write_text(text.replace("CREDENTIAL", str(secret)))
    return path


GOOD = """
server = "unix:/run/opencen.sock"
credential_file = "CREDENTIAL"
endpoint = "100.64.0.1"
[[networks]]
network = "web"
interface = "lan0"
address = "10.1.0.1/24"
"""


def loaded(folder: Path, text: str = GOOD) -> GatewayConfig:
    return load(written(folder, text))


def test_a_good_file_is_read(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert config.gateway_id == "gw-1"
    assert config.credential.bearer
    assert config.networks[0].address == "10.1.0.1/24"
    assert "secret" not in repr(config)


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD), {"server": "http://192.0.2.1:8400", "endpoint": None})
    assert (config.server, config.endpoint) == ("http://192.0.2.1:8400", "100.64.0.1")


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('endpoint = "100.64.0.1"', "", "endpoint is missing"),
        ("100.64.0.1", "gateway.example", "'gateway.example' is not an IP address"),
        ("endpoint", "end_point", "unknown key 'end_point'"),
        ("10.1.0.1/24", "10.1.0.1", "'10.1.0.1' must be an IPv4 address with its prefix"),
        ("10.1.0.1/24", "2001:db8::1/64", "must be an IPv4 address"),
        ("10.1.0.1/24", "lan", "'lan' must be an IPv4 address with its prefix, like 10.1.0.1/24"),
        ("lan0", "an-interface-too-long", "is no usable name"),
        ("interface", "device", "[[networks]] of 'web': unknown key 'device'"),
        ("[[networks]]", "networks = 1", "gateway.toml: "),
        ("server =", "server", "gateway.toml: "),
    ],
)
def test_a_bad_file_is_refused_with_the_key_and_value(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        loaded(tmp_path, GOOD.replace(old, new))
    assert complaint in str(refusal.value)


def test_an_interface_declared_twice_is_refused(tmp_path: Path) -> None:
    again = '[[networks]]\nnetwork = "db"\ninterface = "lan0"\naddress = "10.2.0.1/24"\n'
    with pytest.raises(ConfigError, match="interface 'lan0' is declared twice"):
        loaded(tmp_path, GOOD + again)


def test_a_credential_that_others_can_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="chmod 600"):
        load(written(tmp_path, GOOD, mode=0o644))


def test_a_credential_of_another_shape_is_refused_without_being_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gw-…:secret") as refusal:
        load(written(tmp_path, GOOD, credential="hunter2"))
    assert "hunter2" not in str(refusal.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")
