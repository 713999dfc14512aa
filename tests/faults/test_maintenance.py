"""What is due is destroyed without a broker, without a beat and in a process that loads nothing heavy."""

from __future__ import annotations

from pathlib import Path

import psutil

from mayfly.db.states import State
from tests.faults.conftest import Lines
from tests.faults.overdue import destroyed, overdue
from tests.integration.stage import EFFECTS, Process, Stage, wait_for

QUICK = f"{EFFECTS},tests.faults.quick"


def test_a_worker_without_broker_and_beat_destroys_what_is_due(lines: Lines, photo: Path) -> None:
    stage, broker = lines.stage, lines.proxies["broker"]
    broker.away()
    before = overdue(stage)
    worker = stage.start("worker", "--allow-cpu", "--videos=0", effect_modules=QUICK)
    wait_for("the end of what was due before", lambda: destroyed(stage, before))
    goes(stage)
    assert len(worker.family()) == 2, "only maintenance works without a broker"
    # By the command line, which has the same broker as the worker: only maintenance can send it.
    job = stage.submit("pass-through", photo)["job"]
    assert not stage.sent(job)
    broker.back()
    assert stage.wait_final(job, seconds=240).state is State.DONE
    assert stage.consumers("maintenance") == 1
    goes(stage)
    assert not heavy(worker)
    broker.away()
    goes(stage)
    assert "Traceback" not in worker.text
    assert worker.stop() == 0


def goes(stage: Stage) -> None:
    """What becomes due now is destroyed."""
    due = overdue(stage)
    wait_for("the end of what is due", lambda: destroyed(stage, due))


def heavy(worker: Process) -> set[str]:
    """The libraries of torch and of decoders that the process of maintenance has loaded."""
    (process,) = [one for one in worker.family() if "mayfly.workers.maintenance" in one.cmdline()]
    loaded = {part for one in process.memory_maps() for part in Path(one.path).parts}
    assert "psycopg_binary" in " ".join(loaded) or "sqlalchemy" in loaded, "libraries are seen"
    assert psutil.Process(process.pid).children() == []
    return loaded & {"torch", "numpy", "PIL", "cv2", "mediapipe"}
