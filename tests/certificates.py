"""Certificates for servers that speak TLS, by the openssl of the system."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from servers import missing

__all__ = ["Certificate", "CertificateAuthority"]

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout")


@dataclass(frozen=True)
class Certificate:
    """Two files of PEM."""

    certificate: Path
    key: Path

    @property
    def server_options(self) -> dict[str, str]:
        """Settings of a server that shows this certificate, and asks its clients for none."""
        return {"tls_cert_file": str(self.certificate), "tls_key_file": str(self.key), "tls_auth_clients": "no"}


class CertificateAuthority:
    """An authority of the tests' own; nobody else trusts it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._issued = 0
        self._own = self._files("authority")
        openssl("req", "-x509", *NEW_KEY, self._own.key, "-subj", "/CN=tests", "-out", self._own.certificate)

    @property
    def path(self) -> Path:
        """What a client is to trust: `ssl_ca_certs`."""
        return self._own.certificate

    def issue(self, *names: str, days: int = 30) -> Certificate:
        """A certificate for these names (as in `DNS:localhost`) that ends in so many days; before now if negative."""
        self._issued += 1
        issued = self._files(f"server-{self._issued}")
        request = issued.key.with_suffix(".csr")
        alternatives = f"subjectAltName={','.join(names)}"
        openssl("req", *NEW_KEY, issued.key, "-subj", "/CN=server", "-addext", alternatives, "-out", request)
        signer = ("-CA", self.path, "-CAkey", self._own.key, "-copy_extensions", "copy", "-days", str(days))
        openssl("x509", "-req", "-in", request, *signer, "-out", issued.certificate)
        return issued

    def _files(self, name: str) -> Certificate:
        return Certificate(self._folder / f"{name}.crt", self._folder / f"{name}.key")


def openssl(*arguments: str | Path) -> None:
    if (tool := shutil.which("openssl")) is None:
        missing("openssl", "openssl is not on PATH")
    subprocess.run([tool, *arguments], check=True, capture_output=True)
