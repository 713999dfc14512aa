"""What a producer imports: `from mayfly import Client`. Loads nothing until it is used, and never torch.

Beside `Client` there is all that a producer catches, compares or annotates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mayfly.client.client import Client as Client
    from mayfly.client.errors import ClientError as ClientError
    from mayfly.client.errors import DeviceEffect as DeviceEffect
    from mayfly.client.errors import InvalidReference as InvalidReference
    from mayfly.client.errors import InvalidSource as InvalidSource
    from mayfly.client.errors import InvalidTarget as InvalidTarget
    from mayfly.client.errors import JobCancelled as JobCancelled
    from mayfly.client.errors import JobFailed as JobFailed
    from mayfly.client.errors import PartlySubmitted as PartlySubmitted
    from mayfly.client.errors import UploadRefused as UploadRefused
    from mayfly.client.errors import WaitTimeout as WaitTimeout
    from mayfly.client.job import Job as Job
    from mayfly.client.notices import OnNotice as OnNotice
    from mayfly.client.results import Target as Target
    from mayfly.client.source import Source as Source
    from mayfly.db.errors import DatabaseFull as DatabaseFull
    from mayfly.db.errors import DatabaseMissing as DatabaseMissing
    from mayfly.db.errors import DatabaseTooNew as DatabaseTooNew
    from mayfly.db.errors import KeyTaken as KeyTaken
    from mayfly.db.errors import NotReady as NotReady
    from mayfly.db.errors import Overloaded as Overloaded
    from mayfly.db.errors import ResultGone as ResultGone
    from mayfly.db.errors import StateError as StateError
    from mayfly.db.errors import UnknownJob as UnknownJob
    from mayfly.db.errors import UploadAbandoned as UploadAbandoned
    from mayfly.db.findings import Finding as Finding
    from mayfly.db.history import Counted as Counted
    from mayfly.db.rows import AssetRow as AssetRow
    from mayfly.db.rows import ReceiptRow as ReceiptRow
    from mayfly.db.states import AssetState as AssetState
    from mayfly.db.states import Retention as Retention
    from mayfly.db.states import State as State
    from mayfly.effects.errors import DuplicateEffect as DuplicateEffect
    from mayfly.effects.errors import EffectError as EffectError
    from mayfly.effects.errors import InvalidParameters as InvalidParameters
    from mayfly.effects.errors import NoEffectModule as NoEffectModule
    from mayfly.effects.errors import NoFace as NoFace
    from mayfly.effects.errors import NoPerson as NoPerson
    from mayfly.effects.errors import UnknownEffect as UnknownEffect
    from mayfly.effects.errors import UnknownModel as UnknownModel
    from mayfly.effects.errors import WeightsError as WeightsError
    from mayfly.errors import FolderRefused as FolderRefused
    from mayfly.errors import MayflyError as MayflyError
    from mayfly.errors import NoSpace as NoSpace
    from mayfly.media.errors import DamagedMedia as DamagedMedia
    from mayfly.media.errors import DiskFull as DiskFull
    from mayfly.media.errors import EmptyFile as EmptyFile
    from mayfly.media.errors import MachineFault as MachineFault
    from mayfly.media.errors import MediaError as MediaError
    from mayfly.media.errors import MediaTimeout as MediaTimeout
    from mayfly.media.errors import MediaToolError as MediaToolError
    from mayfly.media.errors import ObjectMissing as ObjectMissing
    from mayfly.media.errors import ResultTooLarge as ResultTooLarge
    from mayfly.media.errors import StorageError as StorageError
    from mayfly.media.errors import StorageFull as StorageFull
    from mayfly.media.errors import StorageLocked as StorageLocked
    from mayfly.media.errors import StorageUnavailable as StorageUnavailable
    from mayfly.media.errors import TooLarge as TooLarge
    from mayfly.media.errors import UnsupportedMedia as UnsupportedMedia
    from mayfly.media.errors import WrongKind as WrongKind
    from mayfly.media.output import Output as Output
    from mayfly.purge.status import Sweeping as Sweeping
    from mayfly.purge.sweeper import Sweep as Sweep
    from mayfly.settings import Settings as Settings
    from mayfly.tasks.errors import BrokerMissing as BrokerMissing
    from mayfly.tasks.errors import BrokerRefused as BrokerRefused
    from mayfly.tasks.errors import InputGone as InputGone
    from mayfly.tasks.errors import TaskError as TaskError
    from mayfly.tasks.errors import TimeOver as TimeOver
    from mayfly.tasks.errors import TopologyMismatch as TopologyMismatch
    from mayfly.tasks.errors import WorkerLost as WorkerLost

# Where each name is from; the same as type checkers see above.
_HOMES = {
    "AssetRow": "mayfly.db.rows",
    "AssetState": "mayfly.db.states",
    "BrokerMissing": "mayfly.tasks.errors",
    "BrokerRefused": "mayfly.tasks.errors",
    "Client": "mayfly.client.client",
    "ClientError": "mayfly.client.errors",
    "Counted": "mayfly.db.history",
    "DamagedMedia": "mayfly.media.errors",
    "DatabaseFull": "mayfly.db.errors",
    "DatabaseMissing": "mayfly.db.errors",
    "DatabaseTooNew": "mayfly.db.errors",
    "DeviceEffect": "mayfly.client.errors",
    "DiskFull": "mayfly.media.errors",
    "DuplicateEffect": "mayfly.effects.errors",
    "EffectError": "mayfly.effects.errors",
    "EmptyFile": "mayfly.media.errors",
    "Finding": "mayfly.db.findings",
    "FolderRefused": "mayfly.errors",
    "InputGone": "mayfly.tasks.errors",
    "InvalidParameters": "mayfly.effects.errors",
    "InvalidReference": "mayfly.client.errors",
    "InvalidSource": "mayfly.client.errors",
    "InvalidTarget": "mayfly.client.errors",
    "Job": "mayfly.client.job",
    "JobCancelled": "mayfly.client.errors",
    "JobFailed": "mayfly.client.errors",
    "KeyTaken": "mayfly.db.errors",
    "MachineFault": "mayfly.media.errors",
    "MayflyError": "mayfly.errors",
    "MediaError": "mayfly.media.errors",
    "MediaTimeout": "mayfly.media.errors",
    "MediaToolError": "mayfly.media.errors",
    "NoEffectModule": "mayfly.effects.errors",
    "NoFace": "mayfly.effects.errors",
    "NoPerson": "mayfly.effects.errors",
    "NoSpace": "mayfly.errors",
    "NotReady": "mayfly.db.errors",
    "ObjectMissing": "mayfly.media.errors",
    "OnNotice": "mayfly.client.notices",
    "Output": "mayfly.media.output",
    "Overloaded": "mayfly.db.errors",
    "PartlySubmitted": "mayfly.client.errors",
    "ReceiptRow": "mayfly.db.rows",
    "ResultGone": "mayfly.db.errors",
    "ResultTooLarge": "mayfly.media.errors",
    "Retention": "mayfly.db.states",
    "Settings": "mayfly.settings",
    "Source": "mayfly.client.source",
    "State": "mayfly.db.states",
    "StateError": "mayfly.db.errors",
    "StorageError": "mayfly.media.errors",
    "StorageFull": "mayfly.media.errors",
    "StorageLocked": "mayfly.media.errors",
    "StorageUnavailable": "mayfly.media.errors",
    "Sweep": "mayfly.purge.sweeper",
    "Sweeping": "mayfly.purge.status",
    "Target": "mayfly.client.results",
    "TaskError": "mayfly.tasks.errors",
    "TimeOver": "mayfly.tasks.errors",
    "TooLarge": "mayfly.media.errors",
    "TopologyMismatch": "mayfly.tasks.errors",
    "UnknownEffect": "mayfly.effects.errors",
    "UnknownJob": "mayfly.db.errors",
    "UnknownModel": "mayfly.effects.errors",
    "UnsupportedMedia": "mayfly.media.errors",
    "UploadAbandoned": "mayfly.db.errors",
    "UploadRefused": "mayfly.client.errors",
    "WaitTimeout": "mayfly.client.errors",
    "WeightsError": "mayfly.effects.errors",
    "WorkerLost": "mayfly.tasks.errors",
    "WrongKind": "mayfly.media.errors",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
