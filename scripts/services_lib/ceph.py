"""Ceph's object gateway: a real S3 server from the distribution's packages, for where there is no MinIO.

One monitor, one BlueStore OSD in a sparse file, and radosgw. No manager: it only gathers statistics here, and
takes more memory than the rest together.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import re
import shutil
import subprocess
import uuid
from email.utils import formatdate
from pathlib import Path

from services_lib import processes
from services_lib.minio import storage_url
from services_lib.service import Service, write_private

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
# The file is sparse and BlueStore never grows it: the most that all trials together can take.
BLOCK_BYTES = 6 * 1024**3

# Loopback only, no keys between the daemons, all paths private, one copy of everything, little memory.
CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind msgr1 = false
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
# Without it radosgw never authenticates when there are no keys.
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
setuser match path =
run dir = {folder}
admin socket =
pid file =
crash dir = {folder}
keyring = {folder}/keyring
log file =
log to file = false
# The log is for failures; the stores' own chatter would fill it.
debug rocksdb = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug bdev = 0/0
debug osd = 0/0
debug mon = 0/0
debug rgw = 0/0
debug ms = 0/0
debug auth = 0/0
mon cluster log to stderr = false
clog to monitors = false
log to stderr = true
err to stderr = true
mon cluster log file = /dev/null
mon cluster log to file = false
# The log is for failures; the stores' own chatter would fill it.
debug rocksdb = 0/0
debug bluestore = 0/0
debug bluefs = 0/0
debug bdev = 0/0
debug osd = 0/0
debug mon = 0/0
debug rgw = 0/0
debug ms = 0/0
debug auth = 0/0
mon cluster log to stderr = false
clog to monitors = false
mon data = {folder}/mon
osd data = {folder}/osd
# One monitor has nobody to wait for: else every new pool takes two seconds.
paxos propose interval = 0.05
paxos min wait = 0.01
mon allow pool size one = true
mon allow pool delete = true
mon data avail crit = 0
mon data avail warn = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = {block}
bluestore cache autotune = false
bluestore cache size = 67108864
osd op num shards = 2
osd op num threads per shard = 1
osd max pg per osd hard ratio = 100

[client]
rgw frontends = beast endpoint=127.0.0.1:{main}
rgw data = {folder}/rgw
rgw thread pool size = 64
rgw enable ops log = false
rgw enable usage log = false
rgw run sync thread = false
rgw dynamic resharding = false
# Encryption with the customer's key over the loopback's plain HTTP.
rgw crypt require ssl = false
# Deleted bytes go within minutes, not hours, so that trials do not fill the file.
rgw gc obj min wait = 30
rgw gc processor period = 60
"""


class Ceph(Service):
    name = "storage"
    packages = ("radosgw", "ceph-mon", "ceph-osd")
    port_names = ("main", "mon")

    def installed(self) -> bool:
        return all(shutil.which(program) for program in PROGRAMS)

    @property
    def configuration(self) -> Path:
        return self.folder / "ceph.conf"

    def launch(self) -> None:
        created = self.folder / "created"
        fresh = not created.exists()
        if fresh:
            shutil.rmtree(self.folder)
            self.folder.mkdir(mode=0o700)
        fsid = self.state.once("storage.fsid", str(uuid.uuid4()))
        values = {"fsid": fsid, "folder": self.folder, "block": BLOCK_BYTES, **self.ports}
        write_private(self.configuration, CONFIGURATION.format(**values))
        daemons = [self._start_monitor(fsid=fsid, fresh=fresh)]
        if fresh:
            self._create_osd()
        else:
            # Else the gateway waits ten seconds for the last run's OSD, which the monitor still holds to be up.
            self._run("ceph", "-c", self.configuration, "osd", "down", "0")
        daemons.append(self._start("ceph-osd", "-i", "0"))
        if fresh:
            self._create_user()
            created.touch()
        daemons.append(self._start("radosgw", "-n", "client.a"))
        processes.wait_until(self.answers, processes=daemons, log=self.log, seconds=120)
        if fresh:
            self._touch_pools()

    def answers(self) -> bool:
        return bool(self.ports) and "storage.keys" in self.state.values and self._request("GET", "/")[0] == 200

    def urls(self) -> dict[str, str]:
        access, secret = self.state.values["storage.keys"]
        return {"MAYFLY_STORAGE_URL": storage_url(access, secret, self.address)}

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [program, "-f", "-c", str(self.configuration), *arguments]
        return processes.spawn(command, env=self.env, log=self.log, cwd=self.folder)

    def _run(self, program: str, *arguments: str | Path) -> None:
        processes.run([program, *arguments], env=self.env, log=self.log, cwd=self.folder)

    def _start_monitor(self, *, fsid: str, fresh: bool) -> subprocess.Popen[bytes]:
        """The monitor's store holds its address, and its port may have changed: so give it a new map at every start."""
        monitors = self.folder / "monmap"
        address = f"[v2:127.0.0.1:{self.ports['mon']}]"
        self._run("monmaptool", "--create", "--clobber", "--fsid", fsid, "--addv", "a", address, monitors)
        monitor = ("ceph-mon", "-c", self.configuration, "-i", "a")
        if fresh:
            self._run(*monitor, "--mkfs", "--monmap", monitors)
        else:
            self._run(*monitor, "--inject-monmap", monitors)
        return self._start("ceph-mon", "-i", "a")

    def _create_osd(self) -> None:
        osd = str(uuid.uuid4())
        (self.folder / "osd").mkdir()
        self._run("ceph-osd", "-c", self.configuration, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self._run("ceph", "-c", self.configuration, "osd", "new", osd)

    def _create_user(self) -> None:
        user = ["--uid=mayfly", "--display-name=mayfly"]
        command = ["radosgw-admin", "-c", str(self.configuration), "user", "create", *user]
        out = self.folder / "user.json"
        write_private(out, "")
        processes.run(command, env=self.env, log=out, cwd=self.folder)
        found = re.search(r"^\{.*^\}", out.read_text(), re.DOTALL | re.MULTILINE)
        out.unlink()
        if not found:
            raise processes.Failed("radosgw-admin printed no user")
        key = json.loads(found[0])["keys"][0]
        self.state.put("storage.keys", [key["access_key"], key["secret_key"]])

    def _touch_pools(self) -> None:
        """Go once through what a client does: each pool is made at its first use, which takes seconds."""
        bucket = f"/warm-up-{uuid.uuid4().hex[:8]}"
        self._request("PUT", bucket)
        self._request("PUT", f"{bucket}/object", body=b"warm")
        _, answer = self._request("POST", f"{bucket}/parts?uploads")
        found = re.search(rb"<UploadId>(.+?)</UploadId>", answer)
        if found:
            self._request("DELETE", f"{bucket}/parts?uploadId={found[1].decode()}")
        self._request("DELETE", f"{bucket}/object")
        self._request("DELETE", bucket)

    def _request(self, method: str, path: str, *, body: bytes = b"") -> tuple[int, bytes]:
        """One request with AWS signature version 2, which the gateway still takes; (0, b"") when there is no answer."""
        access, secret = self.state.values["storage.keys"]
        date = formatdate(usegmt=True)
        text = f"{method}\n\n\n{date}\n{path}".encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), text, hashlib.sha1)).decode()
        headers = {"Date": date, "Authorization": f"AWS {access}:{signature}"}
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["main"], timeout=10)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()
