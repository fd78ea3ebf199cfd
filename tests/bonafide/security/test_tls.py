import logging
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from bonafide.bento.https import NewestContext
from bonafide.security.tls import ServerTls
from bonafide.settings import Settings
from bonafide.settings.errors import WrongFile
from tests.bonafide.security.open_files import no_file_can_be_opened
from tests.certificates import Authority, Certificate


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def served_name(context: ssl.SSLContext, trust: Path, client: Certificate | None = None) -> str:
    """The name in the certificate that a new connection to a server with `context` is shown."""
    ours, theirs = socket.socketpair()
    failures: list[Exception] = []

    def serve() -> None:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = context.wrap_bio(incoming, outgoing, server_side=True)
        try:
            while True:
                try:
                    server.do_handshake()
                    server.write(b"hello")
                    return
                except ssl.SSLWantReadError:
                    theirs.sendall(outgoing.read())
                    incoming.write(theirs.recv(65536))
        except Exception as error:
            failures.append(error)
        finally:
            theirs.sendall(outgoing.read())
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    asking = ssl.create_default_context(cafile=trust)
    if client is not None:
        asking.load_cert_chain(client.cert, client.key)
    try:
        with asking.wrap_socket(ours, server_hostname="localhost") as connection:
            assert connection.recv(5) == b"hello"
            certificate = connection.getpeercert()
            assert certificate is not None
            return dict(part[0] for part in certificate["subject"])["commonName"]  # type: ignore[misc]
    finally:
        thread.join()


def test_no_files_no_tls() -> None:
    assert ServerTls.from_settings(Settings()) is None


@pytest.mark.parametrize("given", [{"tls_cert": "c"}, {"tls_key": "k"}, {"tls_client_ca": "ca"}])
def test_half_a_setting_is_a_mistake(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="BONAFIDE_TLS_"):
        Settings.model_validate(given)


def test_files_that_do_not_fit_are_refused_at_the_start(authority: Authority, tmp_path: Path) -> None:
    one, other = authority.sign("one"), authority.sign("other")
    for key, ca in ((other.key, None), (tmp_path / "none", None), (one.key, one.key)):
        with pytest.raises(OSError, match=r"SSL|X509|No such file"):
            ServerTls(one.cert, key, ca)


def test_at_the_start_the_settings_of_a_file_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    """OpenSSL names not even the file."""
    missing = Settings(tls_cert=tmp_path / "cert.pem", tls_key=tmp_path / "key.pem")
    with pytest.raises(WrongFile, match=r"^BONAFIDE_TLS_CERT, BONAFIDE_TLS_KEY: .*No such file"):
        ServerTls.from_settings(missing)


def test_no_passphrase_is_asked_for(authority: Authority, tmp_path: Path) -> None:
    """On the terminal, where a running service would wait for it."""
    served, encrypted = authority.sign("served"), tmp_path / "encrypted.pem"
    encrypt = ["openssl", "pkey", "-in", str(served.key), "-aes256", "-passout", "pass:secret", "-out", str(encrypted)]
    subprocess.run(encrypt, check=True)
    with pytest.raises(WrongFile, match=r"^BONAFIDE_TLS_CERT, BONAFIDE_TLS_KEY: the private key is encrypted"):
        ServerTls.from_settings(Settings(tls_cert=served.cert, tls_key=encrypted))
    tls = ServerTls(served.cert, served.key, None, look_s=0)
    before = tls.current
    served.key.write_bytes(encrypted.read_bytes())
    assert tls.current is before


def test_a_renewed_certificate_is_shown_to_the_next_connection(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    served, renewed = authority.sign("served"), authority.sign("renewed")
    context = NewestContext.of(ServerTls(served.cert, served.key, None, look_s=0))
    assert served_name(context, authority.cert) == "served"
    with caplog.at_level(logging.ERROR):
        served.cert.write_bytes(renewed.cert.read_bytes())
        assert served_name(context, authority.cert) == "served"  # the key does not fit yet
        assert len(caplog.records) == 1
        served.key.write_bytes(renewed.key.read_bytes())
        assert served_name(context, authority.cert) == "renewed"
        served.cert.unlink()
        assert served_name(context, authority.cert) == "renewed"
    assert "PRIVATE KEY" not in caplog.text


def test_a_certificate_that_was_renewed_while_no_file_could_be_opened_is_shown(authority: Authority) -> None:
    served, renewed = authority.sign("served"), authority.sign("renewed")
    tls = ServerTls(served.cert, served.key, None, look_s=0)
    served.cert.write_bytes(renewed.cert.read_bytes())
    served.key.write_bytes(renewed.key.read_bytes())
    with no_file_can_be_opened():
        old = tls.current.cert
    assert old != tls.current.cert == renewed.cert.read_bytes()


def test_callers_without_a_certificate_are_not_let_in_and_an_authority_can_be_replaced(
    authority: Authority, tmp_path: Path
) -> None:
    served, caller = authority.sign("served"), authority.sign("caller")
    other_authority = Authority(tmp_path, "other-ca")
    stranger = other_authority.sign("stranger")
    callers_authority = tmp_path / "callers.pem"
    callers_authority.write_bytes(authority.cert.read_bytes())
    context = NewestContext.of(ServerTls(served.cert, served.key, callers_authority, look_s=0))
    assert served_name(context, authority.cert, caller) == "served"
    for wrong in (None, stranger):
        with pytest.raises(OSError, match="SSL"):
            served_name(context, authority.cert, wrong)
    callers_authority.write_bytes(other_authority.cert.read_bytes())
    assert served_name(context, authority.cert, stranger) == "served"
    with pytest.raises(OSError, match="SSL"):
        served_name(context, authority.cert, caller)


def test_old_protocols_are_off(authority: Authority) -> None:
    served = authority.sign("served")
    context = ServerTls(served.cert, served.key, None).current.context
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert all("TLSv1.2" in cipher["protocol"] or "TLSv1.3" in cipher["protocol"] for cipher in context.get_ciphers())


def test_the_private_key_is_in_no_representation(authority: Authority) -> None:
    served = authority.sign("served")
    assert "PRIVATE" not in repr(ServerTls(served.cert, served.key, None).current)
