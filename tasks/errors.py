"""What ends an attempt from inside the pipeline, and what can be wrong with the broker.

TaskError
├── BrokerMissing      broker_unreachable
│   └── BrokerRefused  broker_refused     it will not be reached at this address: a name, a password or a virtual host
├── TopologyMismatch   broker_topology    the broker's exchanges and queues are not ours
├── ClaimLost          the job was cancelled, or belongs to a newer attempt; never shown to anybody
├── Stopped            the worker stops, and hands its unit back; never shown to anybody
├── ScratchGone        files of the worker vanished under it: no fault of the upload's; never shown to anybody
├── StillAway          a server was away for longer than a message may be held; never shown to anybody
├── TimeOver           time_limit     the effect took longer than settings allow
└── InputGone          expired        the input was destroyed before the effect was done
"""

from __future__ import annotations

from mayfly.errors import MayflyError


class TaskError(MayflyError):
    """The root of this package's errors."""


class BrokerMissing(TaskError):
    code = "broker_unreachable"


class BrokerRefused(BrokerMissing):
    code = "broker_refused"


class TopologyMismatch(TaskError):
    code = "broker_topology"


class ClaimLost(TaskError):
    code = "claim_lost"


class Stopped(TaskError):
    code = "stopped"


class ScratchGone(TaskError):
    code = "scratch_gone"


class StillAway(TaskError):
    code = "server_away"


class TimeOver(TaskError):
    code = "time_limit"


class InputGone(TaskError):
    code = "expired"
