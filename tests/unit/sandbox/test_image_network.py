"""Which of the machine's network settings a set-up is handed, and which make no sense there."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.docker.network import network_settings, pip_configuration_files, proxies
from sandbox.errors import SpecRefusedError


def test_a_proxy_is_told_under_both_spellings() -> None:
    assert proxies({"HTTPS_PROXY": "http://p:1", "no_proxy": "a,b"}) == {
        "https_proxy": "http://p:1",
        "HTTPS_PROXY": "http://p:1",
        "no_proxy": "a,b",
        "NO_PROXY": "a,b",
    }


def test_the_lower_case_proxy_wins_as_it_does_in_curl() -> None:
    assert proxies({"http_proxy": "http://low", "HTTP_PROXY": "http://high"})["HTTP_PROXY"] == "http://low"


def _pip_conf(directory: Path, text: str) -> Path:
    file = directory / "pip.conf"
    file.write_text(text)
    return file


def test_the_environment_wins_over_pips_files_and_the_later_file_over_the_earlier(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    files = [
        _pip_conf(tmp_path / "a", "[global]\nindex-url = https://one/simple\ntimeout = 5\n"),
        _pip_conf(tmp_path / "b", "[install]\nindex_url = https://two/simple\n"),
    ]
    assert network_settings({}, files).variables["PIP_INDEX_URL"] == "https://two/simple"
    assert network_settings({}, files).variables["PIP_TIMEOUT"] == "5"
    told = network_settings({"PIP_INDEX_URL": "https://three/simple"}, files).variables
    assert told["PIP_INDEX_URL"] == "https://three/simple"


def test_places_on_this_machine_are_left_out_and_named_without_their_value(tmp_path: Path) -> None:
    text = "[global]\nfind-links = /opt/secret\nextra-index-url = file:///opt/secret https://ok/simple\n"
    settings = network_settings({"UV_INDEX_URL": "http://localhost:3141/secret"}, [_pip_conf(tmp_path, text)])
    assert settings.variables == {"PIP_EXTRA_INDEX_URL": "https://ok/simple"}
    assert len(settings.left_out) == 3
    assert not [line for line in settings.left_out if "secret" in line]


def test_a_proxy_on_the_machine_itself_is_pointed_out() -> None:
    settings = network_settings({"http_proxy": "http://user:secret@127.0.0.1:3128"}, [])
    assert settings.left_out == ("http_proxy: the address of the machine itself cannot be reached from a container",)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GOPROXY", "https://proxy.example,direct"),
        ("UV_INDEX", "inner=https://a/simple https://b/simple"),
        ("NPM_CONFIG_REGISTRY", "https://registry.example/"),
    ],
)
def test_other_indexes_are_told_as_they_are(variable: str, value: str) -> None:
    assert network_settings({variable: value}, []).variables == {variable: value}


def test_npms_registry_is_told_and_its_token_is_not(tmp_path: Path) -> None:
    (tmp_path / ".npmrc").write_text("//registry.example/:_authToken=secret\nregistry = https://registry.example/\n")
    settings = network_settings({"HOME": str(tmp_path)}, [])
    assert settings.variables == {"NPM_CONFIG_REGISTRY": "https://registry.example/"}


def test_a_settings_file_that_cannot_be_parsed_is_named_and_the_rest_goes_on(tmp_path: Path) -> None:
    settings = network_settings({"GOPROXY": "off"}, [_pip_conf(tmp_path, "no section\n")])
    assert settings.variables == {"GOPROXY": "off"}
    assert settings.left_out == (f"{tmp_path}/pip.conf: cannot be read",)


def test_the_certificates_are_those_that_the_environment_names(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("CERT")
    assert network_settings({"PIP_CERT": str(tmp_path / "ca.pem")}, []).certificates == "CERT"


def test_certificates_that_are_named_but_not_there_are_an_error() -> None:
    with pytest.raises(SpecRefusedError) as caught:
        network_settings({"SSL_CERT_FILE": "/nonexistent/ca.pem"}, [])
    assert caught.value.field == "SSL_CERT_FILE"


def test_nothing_secret_is_in_the_settings_repr() -> None:
    assert "secret" not in repr(network_settings({"https_proxy": "http://u:secret@proxy.example"}, []))


def test_pips_own_switch_for_no_configuration_holds_here_too() -> None:
    assert pip_configuration_files({"PIP_CONFIG_FILE": "/dev/null"}) == []
    assert pip_configuration_files({"PIP_CONFIG_FILE": "/my.conf"})[-1] == Path("/my.conf")
