"""A private CA, and a certificate of it for this machine, by openssl's own command."""

import shutil
import subprocess
from pathlib import Path

import pytest


class Authority:
    """Makes its files in `folder`; without openssl the test skips."""

    def __init__(self, folder: Path) -> None:
        if not shutil.which("openssl"):
            pytest.skip("openssl is not installed")
        self.folder, self.ca, self.certificate, self.key = (
            folder, folder / "ca.pem", folder / "server.pem", folder / "server.key",
        )  # fmt: skip
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        self._openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=private-ca -keyout ca.key -out ca.pem")
        self._openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr")
        (folder / "names").write_text(names)
        self._openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem"
        )

    def _openssl(self, arguments: str) -> None:
        subprocess.run(["openssl", *arguments.split()], cwd=self.folder, check=True, capture_output=True)

    @property
    def server(self) -> list[str]:
        return [
            "--tls-cert-file",
            str(self.certificate),
            "--tls-key-file",
            str(self.key),
            "--tls-ca-cert-file",
            str(self.ca),
        ]
