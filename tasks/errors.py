"""What ends an attempt from inside the pipeline, and what can be wrong with the broker.

TaskError
├── BrokerMissing      broker_unreachable
│   └── BrokerRefused  broker_refused     it will not be reached at this address: a name, a password or a virtual host
├── TopologyMismatch   broker_topology    the broker's exchanges and queues are not ours
├── ClaimLost          the job was cancelled, or belongs to a newer attempt; never shown to anybody
├── Stopped            the worker stops, and hands its unit back; never shown to anybody
├── ScratchGone        files of the worker vanished under it: no fault of the upload's; never shown to anybody
├── StillAway          a server was away for longer than a message may be held; never shown to anybody
├── WorkerLost         worker_lost    a job's error: every worker that ran it died; never raised
├── TimeOver           time_limit     the effect took longer than settings allow
└── InputGone          expired        the input was destroyed before the effect was done
"""

from __future__ import annotations

from mayfly.errors import MayflyError


class TaskError(MayflyError):
    """The root of this package's errors."""


class BrokerMissing(TaskError):
    """The broker does not answer."""

    code = "broker_unreachable"
    remedy = "Nothing is lost, what is queued is sent later; the operator checks MAYFLY_BROKER_URL and `mayfly doctor`."


class BrokerRefused(BrokerMissing):
    """The broker refuses this name, password or virtual host."""

    code = "broker_refused"
    remedy = "Mend MAYFLY_BROKER_URL."


class TopologyMismatch(TaskError):
    """The broker has queues or exchanges of our names that are not ours."""

    code = "broker_topology"
    remedy = "The operator deletes the queue that the text names, or takes a virtual host of its own."


class ClaimLost(TaskError):
    code = "claim_lost"


class Stopped(TaskError):
    code = "stopped"


class ScratchGone(TaskError):
    code = "scratch_gone"


class StillAway(TaskError):
    code = "server_away"


class WorkerLost(TaskError):
    """Every worker that ran the job died. Only a job's error."""

    code = "worker_lost"
    remedy = "Send another upload, for this one may have killed them; the operator looks at the workers' memory."

    def __init__(self, text: str = "the workers that ran this job died; send another upload") -> None:
        super().__init__(text)


class TimeOver(TaskError):
    """The effect took longer than settings allow."""

    code = "time_limit"
    remedy = "Send a smaller or shorter file; the operator may raise the limits of time."


class InputGone(TaskError):
    """The job was not finished before its upload had to be deleted."""

    code = "expired"
    remedy = "Submit it again; the operator looks why it waited so long."
