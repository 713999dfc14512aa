"""The queues' names and arguments."""

from mayfly.effects.contract import Media, Tag
from mayfly.tasks.messages import queues


def test_photos_and_videos_have_their_own_queues():
    assert queues.effect_queue(Tag.CPU, Media.IMAGE) == "cpu.photo"
    assert queues.effect_queue(Tag.GPU_24G, Media.VIDEO) == "gpu-24g.video"
    assert set(queues.LANES) == set(Media)


def test_every_queue_that_an_effect_can_have_is_declared():
    every = queues.all_queues()
    assert len(set(every)) == len(every)
    for tag in Tag:
        for media in Media:
            assert queues.effect_queue(tag, media) in every
    assert {queues.MEDIA, queues.MAINTENANCE} <= set(every)
    assert queues.DEAD_LETTERS not in every


def test_work_is_replicated_and_dead_lettered():
    for name in queues.all_queues():
        found = queues.arguments(name)
        assert found["x-queue-type"] == "quorum"
        assert ("x-dead-letter-exchange" in found) == (name != queues.MAINTENANCE)
        # Quorum queues refuse it; limits are policies, since arguments cannot change.
        assert not {"x-max-priority", "x-delivery-limit"} & set(found)
    assert queues.arguments("cpu.photo")["x-dead-letter-strategy"] == "at-least-once"
    assert queues.arguments("cpu.photo")["x-overflow"] == "reject-publish"
