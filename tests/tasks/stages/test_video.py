"""A long video goes in segments and comes out whole; what fails, fails as a job does."""

import dataclasses
import subprocess
import sys

import pytest
import sqlalchemy as sa

# First: mayfly.tasks.stages.effect makes a task of each effect that is registered when it is imported.
from benchmarks.effects import PassThrough
from mayfly.db import assets, jobs, segments, tables
from mayfly.db.states import AssetState, Retention, Stage, State
from mayfly.db.tables import SEGMENTS
from mayfly.media.children import launch
from mayfly.media.errors import DamagedMedia, MediaToolError
from mayfly.media.video import bounds
from mayfly.media.video.info import VideoInfo
from mayfly.tasks.attempts import attempt, execute, pace
from mayfly.tasks.attempts.attempt import Attempt
from mayfly.tasks.messages import outbox
from mayfly.tasks.stages import effect, ingest, video
from tests import clock
from tests.media import clips

EFFECT = PassThrough.declaration.name


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Six seconds with a keyframe each second, and sound."""
    sound = ("-f", "lavfi", "-i", "sine=frequency=440:duration=6")
    x264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-c:a", "aac", "-shortest")
    return clips.make(tmp_path_factory.mktemp("film") / "film.mp4", *sound, *x264, seconds=6)


@pytest.fixture
def hurried(rt, monkeypatch):
    """A runtime whose pace is known after an instant, and in which everything is long."""
    monkeypatch.setattr(pace, "PROBE_SECONDS", 0.0)
    object.__setattr__(rt, "settings", rt.settings.model_copy(update={"segment_seconds": 1e-6}))
    monkeypatch.setattr(video.pieces, "plan", planned(video.pieces.plan))
    return rt


def planned(plan):
    """With segments of two seconds, whatever the pace was."""
    return lambda packets, *, frames, before, hidden: plan(packets, frames=50, before=before, hidden=hidden)


@pytest.fixture
def long_job(hurried, job, film):
    """A job that is cut into its segments."""
    job_id = probed(hurried, job, film)
    execute.stage(hurried, job_id, Stage.EFFECT, effect._work)
    assert jobs.get(hurried.engine, job_id).stage is Stage.SEGMENTS
    return job_id


def probed(rt, job, source):
    """A job whose effect can begin."""
    job_id = job(content=source.read_bytes(), media="video", suffix=".mp4", effect=EFFECT)
    execute.stage(rt, job_id, Stage.INGEST, ingest._ingest)
    return job_id


def run(rt, job_id, number, work=effect._work_on_segment):
    execute.segment(rt, job_id, number, work)


def rows(rt, job_id):
    with rt.engine.connect() as connection:
        return segments.of_job(connection, job_id)


def stored(rt, job_id):
    return [asset for asset in assets.of_job(rt.engine, job_id) if asset.state is AssetState.STORED]


def test_cut_in_any_order_and_joined(hurried, long_job, film, tmp_path):
    assert hurried.sender.sent[-1] == (long_job, 0)  # embedded: one at a time
    for number in (2, 0, 1):
        run(hurried, long_job, number)
    job = jobs.get(hurried.engine, long_job)
    assert (job.state, job.stage, job.units_done, job.units_total) == (State.QUEUED, Stage.JOIN, 150, 150)
    assert hurried.sender.sent[-1] == long_job
    execute.stage(hurried, long_job, Stage.JOIN, video.join)
    hurried.close()
    assert jobs.get(hurried.engine, long_job).state is State.DONE
    (result,) = stored(hurried, long_job)
    assert result.retention is Retention.RESULT
    hurried.store.fetch(result.key, tmp_path / "result.mp4")
    assert clips.timestamps(tmp_path / "result.mp4") == clips.timestamps(film)
    assert clips.packets(tmp_path / "result.mp4") == clips.packets(film)
    assert clips.psnr(tmp_path / "result.mp4", film) > 30
    assert len(list(hurried.store.objects())) == 1
    assert list(hurried.scratch.iterdir()) == []


def test_a_short_video_is_one_unit(rt, job, film):
    job_id = probed(rt, job, film)
    execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    assert jobs.get(rt.engine, job_id).state is State.DONE
    assert rows(rt, job_id) == []


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_until_its_pace_is_known_a_video_makes_no_progress(rt, job, film, monkeypatch):
    """For it may begin anew, in segments."""
    told = {}
    for wait in (1e9, 0.0):
        job_id, seen = probed(rt, job, film), told.setdefault(wait, set())
        with monkeypatch.context() as patched:
            patched.setattr(pace, "PROBE_SECONDS", wait)
            patched.setattr(Attempt, "progress", lambda _, done, seen=seen: seen.add(done))
            execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    assert told[1e9] == {0}
    assert max(told[0.0]) > 100


def test_a_long_video_that_cannot_be_cut_is_one_unit(hurried, job, tmp_path):
    source = clips.make(tmp_path / "one-keyframe.mp4", *clips.H264, "-g", "1000", seconds=3)
    job_id = probed(hurried, job, source)
    execute.stage(hurried, job_id, Stage.EFFECT, effect._work)
    assert jobs.get(hurried.engine, job_id).state is State.DONE
    assert rows(hurried, job_id) == []


def test_a_full_disk_is_said_before_anything_is_fetched(hurried, job, film, monkeypatch):
    job_id = probed(hurried, job, film)
    monkeypatch.setattr(bounds, "RESERVE_BYTES", 2**60)
    monkeypatch.setattr(hurried.store, "fetch", lambda *_: pytest.fail("it fetches"))
    execute.stage(hurried, job_id, Stage.EFFECT, effect._work)
    # Another machine, or this one later, may have room.
    assert jobs.get(hurried.engine, job_id).state is State.WAITING


def test_a_piece_is_destroyed_when_its_segment_is_done(hurried, long_job):
    assert [asset.retention for asset in stored(hurried, long_job)].count(Retention.INTERMEDIATE) == 3
    run(hurried, long_job, 0)
    hurried.close()
    left = [asset.id for asset in stored(hurried, long_job)]
    piece, part = rows(hurried, long_job)[0].piece_id, rows(hurried, long_job)[0].part_id
    assert piece not in left
    assert part in left


def test_a_second_delivery_of_a_segment_does_nothing(hurried, long_job):
    run(hurried, long_job, 0)
    before = rows(hurried, long_job)
    run(hurried, long_job, 0, work=lambda _: pytest.fail("it has no claim"))
    assert rows(hurried, long_job) == before


def test_only_the_segment_that_failed_is_tried_again(hurried, long_job):
    run(hurried, long_job, 1)

    def work(_):
        raise MediaToolError

    run(hurried, long_job, 0, work=work)
    assert [row.state for row in rows(hurried, long_job)] == [State.WAITING, State.DONE, State.QUEUED]
    assert [row.tries for row in rows(hurried, long_job)] == [1, 1, 0]


def test_a_segment_that_fails_three_times_fails_the_job(hurried, long_job):
    run(hurried, long_job, 1)

    def work(_):
        raise MediaToolError

    for _ in range(3):
        run(hurried, long_job, 0, work=work)
        due = SEGMENTS.c.state == State.WAITING.value
        with hurried.engine.begin() as connection:
            connection.execute(sa.update(SEGMENTS).where(due).values(retry_at=clock.after(-1)))
        segments.requeue_lapsed(hurried.engine)
    job = jobs.get(hurried.engine, long_job)
    assert (job.state, job.error) == (State.FAILED, "media_tool_failed")
    assert list(hurried.store.objects()) == []
    assert job.video is None


def test_a_cancelled_job_stops_its_segments(hurried, long_job, monkeypatch):
    monkeypatch.setattr(attempt, "PROGRESS_SECONDS", 0.0)

    def work(running: Attempt):
        running.progress(1)
        jobs.end(hurried.engine, long_job, to=State.CANCELLED)
        running.progress(2)
        pytest.fail("it goes on")

    run(hurried, long_job, 0, work=work)
    assert list(hurried.store.objects()) == []
    assert {row.state for row in rows(hurried, long_job)} == {State.CANCELLED}


def test_a_job_that_ends_while_it_is_cut_leaves_nothing(hurried, job, film, monkeypatch):
    job_id = probed(hurried, job, film)
    cut = video.pieces.cut

    def interrupted(*arguments, **options):
        jobs.end(hurried.engine, job_id, to=State.CANCELLED)
        cut(*arguments, **options)

    monkeypatch.setattr(video.pieces, "cut", interrupted)
    execute.stage(hurried, job_id, Stage.EFFECT, effect._work)
    assert jobs.get(hurried.engine, job_id).state is State.CANCELLED
    assert list(hurried.store.objects()) == []
    assert rows(hurried, job_id) == []


def test_the_outbox_moves_segments_and_the_join(hurried, long_job):
    hurried.sender.sent.clear()
    outbox.resend(hurried)
    assert hurried.sender.sent == []  # the first is on its way
    run(hurried, long_job, 0)
    assert hurried.sender.sent == [(long_job, 1)]
    hurried.sender.away = True
    for number in (1, 2):
        run(hurried, long_job, number)
    hurried.sender.away = False
    outbox.resend(hurried)
    assert hurried.sender.sent[-1] == long_job


def test_a_part_that_begins_with_another_frame_is_not_taken(hurried, long_job, monkeypatch):
    """Its place in the whole is known by its first frame alone."""
    transform = video._transform

    def shifted(*arguments, **options):
        made = transform(*arguments, **options)
        return dataclasses.replace(made, first=made.first + 1)

    monkeypatch.setattr(video, "_transform", shifted)
    run(hurried, long_job, 1)
    job = jobs.get(hurried.engine, long_job)
    assert (job.state, job.error) == (State.FAILED, DamagedMedia.code)


@pytest.mark.parametrize(("interlaced", "margin"), [(False, 0), (True, 2)])
def test_an_interlaced_pieces_margins_are_what_the_filter_looks_at(rt, job, film, monkeypatch, interlaced, margin):
    seen = []
    monkeypatch.setattr(video.pieces, "plan", lambda _packets, **options: seen.append(options) or [])

    def work(running):
        info = dataclasses.replace(VideoInfo.from_json(running.job.video["source"]), interlaced=interlaced)
        runner = rt.runners.get(EFFECT)
        video._plan(running, runner, film, info, pace=0.01)
        raise DamagedMedia

    execute.stage(rt, probed(rt, job, film), Stage.EFFECT, work)
    assert [options["hidden"] for options in seen] == [margin]


def test_probing_and_joining_need_no_torch():
    imported = "import sys, mayfly.tasks.stages.ingest, mayfly.tasks.stages.join, mayfly.media.video.segments; "
    code = f"{imported} sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def chapters(film, tmp_path_factory):
    """The film, in three chapters."""
    folder = tmp_path_factory.mktemp("chapters")
    marks = "".join(
        f"[CHAPTER]\nTIMEBASE=1/1\nSTART={2 * number}\nEND={2 * number + 2}\ntitle=SECRET-{number}\n"
        for number in range(3)
    )
    (folder / "marks.txt").write_text(f";FFMETADATA1\n{marks}")
    command = ["ffmpeg", "-v", "error", "-i", film, "-i", folder / "marks.txt", "-map", "0", "-map_chapters", "1"]
    subprocess.run([*command, "-c", "copy", folder / "film.mp4"], check=True, timeout=60)
    return folder / "film.mp4"


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("wanted", [True, False])
def test_titles_of_chapters_are_in_the_result_if_wanted_and_in_no_table_or_command(
    request, job, chapters, tmp_path, monkeypatch, whole, wanted
):
    started, start = [], launch.start
    monkeypatch.setattr(launch, "start", lambda argv, *rest, **more: started.append(argv) or start(argv, *rest, **more))
    rt = request.getfixturevalue("rt" if whole else "hurried")
    output = {"video": {"chapters": True}} if wanted else None
    content = {"content": chapters.read_bytes(), "media": "video", "suffix": ".mp4", "output": output}
    job_id = job(**content, effect=EFFECT)
    execute.stage(rt, job_id, Stage.INGEST, ingest._ingest)
    assert jobs.get(rt.engine, job_id).video["source"]["chapters"] == []
    execute.stage(rt, job_id, Stage.EFFECT, effect._work)
    if not whole:
        for number in range(3):
            run(rt, job_id, number)
        execute.stage(rt, job_id, Stage.JOIN, video.join)
    rt.close()
    with rt.engine.connect() as connection:
        for table in tables.Base.metadata.sorted_tables:
            assert "SECRET" not in str(connection.execute(sa.select(table)).all())
    (result,) = stored(rt, job_id)
    rt.store.fetch(result.key, tmp_path / "result.mp4")
    found = [title for title, _, _ in clips.chapters(tmp_path / "result.mp4")]
    assert found == (["SECRET-0", "SECRET-1", "SECRET-2"] if wanted else [])
    assert any("ffmetadata" in argv for argv in started) is wanted
    assert "SECRET" not in str(started)


def test_segments_know_the_source_and_nothing_personal(hurried, long_job):
    job = jobs.get(hurried.engine, long_job)
    info = VideoInfo.from_json(job.video["source"])
    assert (info.width, info.height, info.codec) == (64, 48, "h264")
    assert set(job.video) == {"source", "container", "depth"}
