"""What the application that mayfly.tasks.app makes is configured to do."""

import importlib
import os
import subprocess
import sys

import pytest

from mayfly import celeryconfig
from mayfly.effects import registry
from mayfly.settings import Settings
from mayfly.tasks.app import create
from mayfly.tasks.messages import queues

URLS = {
    "broker_url": "amqp://user:geheim@broker.example/x",
    "database_url": "postgresql+psycopg://h/x",
    "storage_url": "s3://k:s@h/b",
}


@pytest.fixture(scope="module")
def app():
    return create(Settings(**URLS))


def test_a_message_is_kept_until_its_work_is_done(app):
    assert app.conf.task_acks_late and app.conf.task_reject_on_worker_lost
    assert app.conf.task_acks_on_failure_or_timeout
    assert app.conf.worker_prefetch_multiplier == 1
    assert app.conf.worker_detect_quorum_queues


def test_json_and_nothing_else(app):
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_serializer == app.conf.result_serializer == "json"


def test_results_are_in_the_table_alone(app):
    assert app.conf.task_ignore_result and not app.conf.task_store_errors_even_if_ignored
    assert app.conf.result_backend is None


def test_publishing_is_confirmed(app):
    options = app.conf.broker_transport_options
    assert options["confirm_publish"] is True
    assert app.conf.task_create_missing_queues is False


def test_every_queue_is_declared_as_pika_declares_it(app):
    found = {queue.name: queue for queue in app.conf.task_queues}
    assert list(found) == queues.all_queues()
    for name, queue in found.items():
        assert queue.queue_arguments == queues.arguments(name)
        assert queue.durable and not queue.auto_delete and not queue.exclusive
        assert (queue.exchange.name, queue.exchange.type, queue.exchange.durable) == (queues.EXCHANGE, "direct", True)
        assert queue.routing_key == name
    assert app.conf.task_default_queue in found


def test_children_are_forked_and_end_in_time(app):
    assert app.conf.worker_pool_start_method == "fork"
    assert app.conf.worker_max_memory_per_child == Settings().child_memory // 1024
    assert Settings().video_time_limit < app.conf.task_time_limit < 30 * 60


def test_a_broker_that_comes_and_goes(app):
    assert app.conf.broker_connection_retry_on_startup and app.conf.broker_connection_retry
    assert app.conf.broker_connection_max_retries is None
    assert 0 < app.conf.broker_heartbeat <= 60
    assert app.conf.worker_cancel_long_running_tasks_on_connection_loss is False


def test_the_settings_name_the_broker(app):
    assert app.conf.broker_url == URLS["broker_url"]
    embedded = create(Settings())
    assert embedded.conf.broker_url.startswith("memory://")
    assert embedded.conf.broker_transport_options == {"polling_interval": 0.01}


def test_a_brokers_name_is_checked_over_tls():
    secure = celeryconfig.broker(Settings(**URLS | {"broker_url": "amqps://broker.example/x"}))
    assert secure["broker_use_ssl"] == {"server_hostname": None}
    assert celeryconfig.broker(Settings(**URLS))["broker_use_ssl"] is False


def test_beat_sends_what_there_is_to_the_queue_of_maintenance(app):
    importlib.import_module("mayfly.tasks.maintenance")
    assert {entry["task"] for entry in app.conf.beat_schedule.values()} == set(queues.PERIODIC)
    for name, entry in app.conf.beat_schedule.items():
        assert name in app.tasks
        assert entry["schedule"] == entry["options"]["expires"] == queues.PERIODIC[name]
        assert entry["options"]["queue"] == queues.MAINTENANCE
        assert entry["options"]["argsrepr"] == entry["options"]["kwargsrepr"] == "-"


def test_it_imports_nothing_from_the_folder_that_a_process_is_started_in(tmp_path, monkeypatch):
    (tmp_path / "of_another_project.py").write_text("")
    monkeypatch.chdir(tmp_path)
    started = create(Settings())
    started.conf.imports = ("of_another_project",)
    with pytest.raises(ModuleNotFoundError):
        started.loader.import_default_modules()


def test_every_effect_has_its_task(app):
    app.loader.import_default_modules()
    assert {f"effects.{name}" for name in registry.load(Settings().effect_modules)} <= set(app.tasks)
    assert "ingest" in app.tasks


def test_a_child_that_works_on_media_knows_no_task_of_maintenance():
    assert not any("maintenance" in name for name in celeryconfig.modules(Settings()))


def test_importing_reads_nothing():
    # A setting that is refused would be a traceback.
    code = "import mayfly.celeryconfig, mayfly.tasks.app, mayfly.client.client"
    wrong = {"MAYFLY_CHILD_MEMORY": "much", "MAYFLY_BROKER_URL": "amqp://alone"}
    subprocess.run([sys.executable, "-c", code], env=os.environ | wrong, check=True, timeout=60)


def test_settings_that_are_given_are_the_only_ones(monkeypatch):
    monkeypatch.setenv("MAYFLY_BROKER_URL", "amqp://of-the-environment/")
    monkeypatch.setenv("MAYFLY_EFFECT_MODULES", "of.the.environment")
    given = Settings(**URLS, effect_modules=["benchmarks.effects"], child_memory=3 * 1024**3)
    found = create(given)
    assert found.conf.broker_url == URLS["broker_url"]
    assert found.conf.imports[0] == "benchmarks.effects"
    assert found.conf.worker_max_memory_per_child == 3 * 1024**2


def test_commands_of_celery_find_the_application(monkeypatch):
    for name, value in URLS.items():
        monkeypatch.setenv(f"MAYFLY_{name.upper()}", value)
    command = [sys.executable, "-m", "celery", "-A", "mayfly.workers.application", "report"]
    told = subprocess.run(command, check=True, timeout=60, capture_output=True, text=True).stdout
    assert "broker.example" in told
    assert "geheim" not in told
