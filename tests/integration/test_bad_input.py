"""Bad input on the full set-up: a stable code, the right exit code, one attempt, and nothing left anywhere."""

from __future__ import annotations

import dataclasses
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import LIMITS
from tests.integration.stage import Stage, ends, wait_for

# The worker's limits, in which a producer with laxer ones does not believe.
LAX = {name: str(10 * int(value)) for name, value in LIMITS.items()}


@dataclasses.dataclass(frozen=True)
class Case:
    """What is submitted, and how it ends: at the producer, or at the worker in this stage."""

    make: Callable[[Path, Path, Path], bytes]
    code: str
    stage: str | None = None
    effect: str = "pass-through"
    settings: dict[str, str] = dataclasses.field(default_factory=dict)


def ffmpeg(*arguments: str) -> Callable[[Path, Path, Path], bytes]:
    def make(photo: Path, clip: Path, folder: Path) -> bytes:
        target = folder / "made.mp4"
        command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", *arguments]
        subprocess.run([*command, "-preset", "ultrafast", str(target)], check=True, timeout=60)
        return target.read_bytes()

    return make


def png(width: int, height: int) -> bytes:
    """A picture whose header is all there is to it: as small as a file can be for so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


def faststart(photo: Path, clip: Path, folder: Path) -> bytes:
    """A video whose header is whole and whose frames end in the middle."""
    target = folder / "fast.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-c", "copy", "-movflags", "+faststart", str(target)]
    subprocess.run(command, check=True, timeout=60)
    return target.read_bytes()[: target.stat().st_size // 2]


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"

CASES = {
    "empty": Case(lambda *_: b"", "empty_file"),
    "text": Case(lambda *_: b"nothing to see here\n" * 50, "unsupported_media"),
    "playlist": Case(lambda *_: PLAYLIST, "unsupported_media"),
    "wrong kind": Case(lambda _photo, clip, _folder: clip.read_bytes(), "wrong_kind", effect="stills"),
    "bytes": Case(lambda photo, *_: photo.read_bytes() + bytes(1_000_000), "too_large"),
    "bytes, lax producer": Case(
        lambda photo, *_: photo.read_bytes() + bytes(1_000_000), "too_large", "effect", settings=LAX
    ),
    "truncated JPEG": Case(lambda photo, *_: photo.read_bytes()[:20_000], "damaged_media", "effect"),
    "JPEG's first bytes": Case(lambda *_: b"\xff\xd8\xff\xe0" + bytes(500), "damaged_media", "effect"),
    "truncated MP4": Case(
        lambda _photo, clip, _folder: clip.read_bytes()[: clip.stat().st_size // 2], "damaged_media", "ingest"
    ),
    "MP4 cut in its frames": Case(faststart, "damaged_media", "effect"),
    "pixels": Case(lambda *_: png(1001, 1000), "too_large"),
    "pixels, lax producer": Case(lambda *_: png(1001, 1000), "too_large", "effect", settings=LAX),
    "PNG bomb": Case(lambda *_: png(60_000, 60_000), "too_large"),
    "frames": Case(ffmpeg("testsrc2=size=64x64:rate=100:duration=6.5"), "too_large", "ingest"),
    "seconds": Case(ffmpeg("testsrc2=size=64x64:rate=1:duration=32"), "too_large", "ingest"),
}


@pytest.fixture(scope="module")
def outcomes(
    busy: Stage, photo: Path, clip: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """How each case ended, by the command line; one command for all that are submitted and end alike."""
    before = busy.count_jobs()
    groups: dict[tuple[str, bool, bool], dict[str, Path]] = {}
    for name, case in CASES.items():
        folder = tmp_path_factory.mktemp("bad")
        file = folder / "upload.bin"
        file.write_bytes(case.make(photo, clip, folder))
        groups.setdefault((case.effect, case.stage is None, bool(case.settings)), {})[name] = file
    found = {}
    for (effect, _, lax), files in groups.items():
        arguments = ["submit", effect, *files.values(), "--wait", "--owner", "owner-of-bad-input", "--json"]
        finished = busy.run(*arguments, **(LAX if lax else {}))
        lines = ends(finished.stdout, len(files))
        facts = {"code": finished.returncode, "stderr": finished.stderr}
        found |= {name: line | facts for name, line in zip(files, lines, strict=True)}
    # What the producer refuses has no row.
    assert busy.count_jobs() - before == sum(case.stage is not None for case in CASES.values())
    return found


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_at_once_with_its_code(busy: Stage, outcomes: dict[str, dict[str, Any]], name: str):
    case, outcome = CASES[name], outcomes[name]
    assert outcome["error"] == case.code
    assert "Traceback" not in outcome["stderr"]
    if case.stage is None:
        assert (outcome["job"], outcome["code"]) == (None, 2)
    else:
        assert (outcome["state"], outcome["code"]) == ("failed", 1)
        attempts = [(stage, result) for stage, result, _ in busy.attempts(outcome["job"])]
        planned = case.stage == "effect" and busy.job(outcome["job"]).media == "video"
        passed = [("ingest", "done")] if planned else []
        assert attempts == [*passed, (case.stage, case.code)]
        busy.wait_gone(outcome["job"])
        text = busy.job(outcome["job"]).error_text
        assert text and "send" in text
    wait_for("blank fields", lambda: "owner-of-bad-input" not in busy.dump(), seconds=30)


def test_bad_input_leaves_nothing_behind(busy: Stage, outcomes: dict[str, dict[str, Any]], overdue: str):
    def inputs() -> list[str]:
        return [key for key in busy.objects("input/") if overdue not in key]

    wait_for("no inputs in the bucket", lambda: not inputs(), seconds=20)
    wait_for("an empty scratch folder", lambda: not busy.scratch_files(), seconds=20)
    wait_for("empty queues", lambda: not any(busy.depths().values()), seconds=20)


def test_an_unknown_effect_and_bad_parameters_are_refused(busy: Stage, photo: Path):
    before = busy.count_jobs()
    for arguments in (["no-such-effect", photo], ["sleep", photo, "-p", "seconds=-1"], ["sleep", photo, "-p", "x=1"]):
        refused = busy.run("submit", *arguments, "--json")
        assert refused.returncode == 2, refused.stderr
    assert busy.count_jobs() == before
