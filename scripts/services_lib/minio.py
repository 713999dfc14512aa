"""The MinIO server, where a `minio` binary is on the PATH."""

from __future__ import annotations

import http.client
import shutil
from urllib.parse import quote

from services_lib import processes
from services_lib.service import Service

BUCKET = "mayfly"
USER = "mayfly"


class Minio(Service):
    name = "storage"
    port_names = ("main", "console")

    def installed(self) -> bool:
        return shutil.which("minio") is not None

    def launch(self) -> None:
        console = f"127.0.0.1:{self.ports['console']}"
        server = processes.spawn(
            ["minio", "server", self.folder / "minio", "--address", self.address, "--console-address", console],
            env=self.env | {"MINIO_ROOT_USER": USER, "MINIO_ROOT_PASSWORD": self.secret},
            log=self.log,
            cwd=self.folder,
        )
        processes.wait_until(self.answers, processes=[server], log=self.log, seconds=60)

    def answers(self) -> bool:
        if not self.ports:
            return False
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["main"], timeout=5)
        try:
            connection.request("GET", "/minio/health/cluster")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def urls(self) -> dict[str, str]:
        return {"MAYFLY_STORAGE_URL": storage_url(USER, self.secret, self.address)}


def storage_url(access: str, secret: str, address: str) -> str:
    """The address of the application's bucket; the bucket itself is made by the application."""
    return f"s3://{quote(access, safe='')}:{quote(secret, safe='')}@{address}/{BUCKET}?secure=false"
