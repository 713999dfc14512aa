"""An embedded home on a disk that is full: run by test_full_disk in a mount namespace of its own, prints what it saw.

`python -m tests.faults.full_disk FOLDER reserve|without SIZE PHOTO purge|cancel|up`: SIZE bytes are the upload that is
due, 0 for none.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mayfly import Client
from mayfly.db import engine as engines
from mayfly.db import migrate, room
from mayfly.db.states import State
from mayfly.media import storage
from mayfly.settings import Settings
from tests import clock, rows

MOUNT_BYTES = 40_000_000
IDLE_SECONDS = 3.0  # in which whoever waits for room has looked for it again


def main() -> None:
    """Store an upload that is due, kill who did it, fill the disk, and ask the command line."""
    folder, reserve, size, photo = Path(sys.argv[1]), sys.argv[2] == "reserve", int(sys.argv[3]), Path(sys.argv[4])
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MOUNT_BYTES}", "tmpfs", folder], check=True)
    os.environ["MAYFLY_HOME"] = str(folder / "home")
    up = sys.argv[5] == "up"
    _killed(size, photo if up else None)
    kept = folder / "home" / "reserve"
    if not reserve:
        kept.unlink()
    if up or not reserve:
        # Whoever ends in order leaves neither a log nor its index, for which there is no room afterwards.
        engine = engines.connect(Settings().resolved_database_url)
        migrate.revision(engine)
        engine.dispose()
    saw: dict[str, Any] = {"reserve": kept.exists()}
    filler = folder / "filler"
    if up:
        print(json.dumps(saw | _up(filler, kept, due=size > 0)))
        return
    saw["status"] = _mayfly("status", "--json", fill=filler)
    saw["before"] = _mayfly("purge", "status", "--json", fill=filler)
    saw["submit"] = _mayfly("submit", "anime", photo, "--json", fill=filler)
    saw["reserve after reading"] = kept.exists()
    words = ("purge", "run", "--json") if sys.argv[5] == "purge" else ("cancel", saw["status"]["out"][0]["job"])
    saw["run"] = _mayfly(*words, fill=filler)
    saw["left"] = [entry.key for entry in storage.connect(Settings().resolved_storage_url).objects()]
    saw["reserve after the purge"] = kept.exists()
    filler.unlink()
    saw["after"] = _mayfly("purge", "status", "--json")
    saw["reserve with room"] = kept.exists()
    print(json.dumps(saw))


def _up(filler: Path, kept: Path, *, due: bool) -> dict[str, Any]:
    """Run `mayfly up` on the full disk, with a job that waits, and make room once nothing else can happen."""
    saw: dict[str, Any] = {}
    _fill(filler)
    with Client() as client, tempfile.TemporaryFile("w+", dir="/dev/shm") as said:
        (job,) = [one for one in client.jobs() if one.state is State.QUEUED]
        store = storage.connect(Settings().resolved_storage_url)
        running = subprocess.Popen([sys.executable, "-m", "mayfly", "up"], stderr=said)
        try:
            if due:
                _until(lambda: len(list(store.objects())) < 2, running)
            else:
                _until(lambda: b"disk_full" in os.pread(said.fileno(), 10_000, 0), running)
                time.sleep(IDLE_SECONDS)
                saw["waiting"] = client.status(job).state
                saw["kept"] = kept.exists()
                filler.unlink()
            _until(lambda: client.status(job).state.final, running)
            saw["state"] = client.status(job).state
            running.send_signal(signal.SIGTERM)
            saw["code"] = running.wait(60)
        finally:
            running.kill()
            saw["said"] = os.pread(said.fileno(), 100_000, 0).decode()
            sys.stderr.write(saw["said"])
        return saw


def _until(condition: Callable[[], object], running: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while not condition():
        assert running.poll() is None and time.monotonic() < end
        time.sleep(0.1)


def _killed(size: int, photo: Path | None) -> None:
    """Do the work of a process that is killed: its writes are in the database's log alone."""
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    settings = Settings()
    engine, store = engines.connect(settings.resolved_database_url), storage.connect(settings.resolved_storage_url)
    migrate.ensure(engine)
    room.keep_reserve(engine)
    store.prepare()
    if photo is not None:
        Client(settings).submit(photo, "pass-through")
    if size:
        _, asset = rows.create(engine, lease=-1)
        assert asset is not None and asset.key is not None
        store.put(asset.key, io.BytesIO(os.urandom(size)), size)
        rows.set_asset(engine, asset.id, due_at=clock.after(-600), deadline_at=clock.after(-60))
    os.kill(os.getpid(), signal.SIGKILL)


def _fill(path: Path) -> None:
    # Whoever was here before may have made room, were it by closing the database.
    with path.open("ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return


def _mayfly(*words: str, fill: Path | None = None) -> dict[str, Any]:
    if fill is not None:
        _fill(fill)
    done = subprocess.run([sys.executable, "-m", "mayfly", *words], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return {"code": done.returncode, "out": lines, "said": done.stderr}


if __name__ == "__main__":
    main()
