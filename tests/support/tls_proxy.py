"""Another nginx, which terminates TLS in front of a gateway."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATION = """\
daemon off;
master_process off;
pid nginx.pid;
error_log stderr error;
events {{}}
http {{
    access_log off;
    client_body_temp_path a; proxy_temp_path b; fastcgi_temp_path c; uwsgi_temp_path d; scgi_temp_path e;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate both.pem;
        ssl_certificate_key both.pem;
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_set_header Host $http_host;
        }}
    }}
}}
"""


@contextlib.contextmanager
def terminating(port: int, upstream: int) -> Iterator[ssl.SSLContext]:
    """Listen with TLS on one port of localhost, and pass requests on to the other.

    Yields what a client needs to trust its certificate.
    """
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "both.pem").write_bytes(_certificate())
        (folder / "nginx.conf").write_text(CONFIGURATION.format(port=port, upstream=upstream))
        nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
        assert nginx is not None
        process = subprocess.Popen([nginx, "-p", made, "-c", "nginx.conf"], stderr=subprocess.DEVNULL)
        try:
            trusted = ssl.create_default_context(cafile=folder / "both.pem")
            until(lambda: _greets(port, trusted), "TLS")
            yield trusted
        finally:
            process.terminate()
            process.wait(10)


def _greets(port: int, trusted: ssl.SSLContext) -> bool:
    with contextlib.suppress(ConnectionError), socket.create_connection(("127.0.0.1", port)) as plain:
        with trusted.wrap_socket(plain, server_hostname="localhost"):
            return True
    return False


def _certificate() -> bytes:
    """Return a key and its certificate for localhost, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)
