"""Certificates as OpenSSL and others see them."""

import stat
import subprocess
from pathlib import Path

import pytest

from dqlite.errors import NodeError

certificates = pytest.importorskip("dqlite.app.certificates", reason="needs cryptography")
x509 = pytest.importorskip("cryptography.x509")


def read(path: Path) -> "x509.Certificate":
    return x509.load_pem_x509_certificate(path.read_bytes())


def names(path: Path) -> list[str]:
    found = read(path).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return [str(name.value) for name in found]


def test_files_are_private_and_named_after_their_hosts(tmp_path: Path) -> None:
    files = certificates.write_material(
        tmp_path / "new", ["10.0.0.1:9001", "db.example.com", "[fd00::1]:9001"]
    )

    assert sorted(files) == ["10.0.0.1", "db.example.com", "fd00::1"]
    assert sorted(each.name for each in (tmp_path / "new").iterdir()) == [
        *("10.0.0.1.crt", "10.0.0.1.key", "ca.crt", "ca.key"),
        *("db.example.com.crt", "db.example.com.key", "fd00::1.crt", "fd00::1.key"),
    ]
    for each in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(each.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


def test_certificates_bear_the_name_of_the_cluster_first_and_then_their_host(
    tmp_path: Path,
) -> None:
    files = certificates.write_material(tmp_path, ["10.0.0.1", "two"], name="cluster.example")

    assert names(files["10.0.0.1"].certfile) == ["cluster.example", "10.0.0.1"]
    assert names(files["two"].certfile) == ["cluster.example", "two"]


def test_openssl_accepts_them_as_server_and_client(tmp_path: Path) -> None:
    files = certificates.write_material(tmp_path, ["10.0.0.1"])
    for purpose in ("sslserver", "sslclient"):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose]
        command += ["-CAfile", str(tmp_path / "ca.crt"), str(files["10.0.0.1"].certfile)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except FileNotFoundError:
            pytest.skip("openssl is not installed")
        assert done.returncode == 0, done.stderr


def test_validity_is_as_asked(tmp_path: Path) -> None:
    files = certificates.write_material(tmp_path, ["one"], days=7)
    for path in (files["one"].certfile, tmp_path / "ca.crt"):
        certificate = read(path)
        assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 7


def test_nodes_are_added_with_the_same_authority(tmp_path: Path) -> None:
    certificates.write_material(tmp_path, ["one"])
    authority = (tmp_path / "ca.crt").read_bytes()
    certificates.write_material(tmp_path, ["two"])

    assert (tmp_path / "ca.crt").read_bytes() == authority
    read(tmp_path / "two.crt").verify_directly_issued_by(read(tmp_path / "ca.crt"))


def test_certificate_is_replaced_only_if_it_is_to_be_renewed(tmp_path: Path) -> None:
    certificates.write_material(tmp_path, ["one"])
    before = (tmp_path / "one.crt").read_bytes()
    with pytest.raises(NodeError, match="exists already"):
        certificates.write_material(tmp_path, ["one"])
    assert (tmp_path / "one.crt").read_bytes() == before

    certificates.write_material(tmp_path, ["one"], renew=True)
    assert (tmp_path / "one.crt").read_bytes() != before


@pytest.mark.parametrize(
    "node", ["", "a b", "../up", "ca", "x" * 64, "-a", "a/b", "\x1b[2J", "a,b", "*.example.com"]
)
def test_node_that_is_no_host_is_refused(tmp_path: Path, node: str) -> None:
    with pytest.raises(NodeError) as caught:
        certificates.write_material(tmp_path, [node])
    assert str(caught.value).isprintable()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_validity_out_of_range_is_refused(tmp_path: Path, days: int) -> None:
    with pytest.raises(NodeError, match="days"):
        certificates.write_material(tmp_path, ["one"], days=days)


def test_authority_that_does_not_fit_its_key_is_refused(tmp_path: Path) -> None:
    certificates.write_material(tmp_path, ["one"])
    certificates.write_material(tmp_path / "other", ["one"])
    (tmp_path / "ca.key").write_bytes((tmp_path / "other" / "ca.key").read_bytes())
    with pytest.raises(NodeError, match="is not the key of"):
        certificates.write_material(tmp_path, ["two"])

    (tmp_path / "ca.key").write_text("garbage")
    with pytest.raises(NodeError, match="cannot use the authority"):
        certificates.write_material(tmp_path, ["two"])
