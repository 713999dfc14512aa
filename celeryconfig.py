"""The whole configuration of Celery and the broker, with the reason for each line."""

from __future__ import annotations

from kombu.entity import Exchange, Queue

from mayfly.settings import Settings
from mayfly.tasks.messages import queues

# --- Where the broker is -----------------------------------------------------------------------------------------


def broker(settings: Settings) -> dict[str, object]:
    """The lines that depend on where the broker is."""
    if settings.embedded:
        # The in-process broker polls; its default of a second would be most of a photo's time.
        return {"broker_url": settings.resolved_broker_url, "broker_transport_options": {"polling_interval": 0.01}}
    url = settings.resolved_broker_url
    options = {
        # A publish returns when the broker has the message on a majority of disks, and not before.
        "confirm_publish": True,
        # A broker that does not answer is noticed; the row, which is there already, is sent again by beat. What comes
        # after connecting is bounded by mayfly.tasks.messages.sender: amqp's own `read_timeout` reads on when it is
        # over.
        "connect_timeout": 3,
        "write_timeout": 15,
        # kombu's own retries would keep the caller waiting for what the outbox does anyway.
        "max_retries": 0,
    }
    # A TLS broker's host name is checked only with this line; None means the name in the URL.
    tls = {"server_hostname": None} if url.startswith("amqps://") else False
    return {"broker_url": url, "broker_transport_options": options, "broker_use_ssl": tls}


# Both ends notice a dead peer within three of these (seconds) instead of the two hours of TCP.
broker_heartbeat = 10
# A worker that starts before the broker waits for it, and one whose broker restarts comes back.
broker_connection_retry_on_startup = True
broker_connection_retry = True
broker_connection_max_retries = None
broker_connection_timeout = 5

# --- What is published -------------------------------------------------------------------------------------------

# JSON only: a pickle from the broker would be code that we run.
task_serializer = "json"
result_serializer = "json"
accept_content = ["json"]
# Three tries within a second, then the outbox takes over.
task_publish_retry = True
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2, "interval_max": 0.5}
# An event for every message sent would double what a producer publishes; what is queued is in the table.
task_send_sent_event = False

# --- Queues ------------------------------------------------------------------------------------------------------

task_default_exchange = queues.EXCHANGE
task_default_exchange_type = "direct"
# Nothing is sent to the default queue; if something were, it would have a consumer.
task_default_queue = queues.MAINTENANCE
task_default_routing_key = queues.MAINTENANCE
task_default_queue_type = "quorum"
# A misspelt queue is an error, not a queue without a consumer.
task_create_missing_queues = False
task_queues = [
    Queue(
        name,
        exchange=Exchange(queues.EXCHANGE, type="direct", durable=True),
        routing_key=name,
        durable=True,
        queue_arguments=queues.arguments(name),
    )
    for name in queues.all_queues()
]
# Quorum queues know no global prefetch; Celery must ask for it by consumer.
worker_detect_quorum_queues = True
# Rejects whatever is no message of ours; Celery's own would acknowledge it, wait with it, or end.
worker_consumer = "mayfly.tasks.messages.consumer:Consumer"

# --- How a task runs ---------------------------------------------------------------------------------------------

# The message is acknowledged when the work is done: a worker that dies gives it back.
task_acks_late = True
# Without this line, a child that was killed counts as done, and its job is lost.
task_reject_on_worker_lost = True
# What a task raised is in the table, where retries are decided; a second delivery would not help.
task_acks_on_failure = True
task_acks_on_timeout = True
# The next message stays at the broker, for whoever is free, until this child is.
worker_prefetch_multiplier = 1
# The table is the truth: no result backend, nothing to read, nothing to leak.
task_ignore_result = True
task_store_errors_even_if_ignored = False
# On a lost connection the broker gives the message to somebody else, who finds the claim taken. Stopping the task
# would throw away its work; the fence makes sure that only one finishes.
worker_cancel_long_running_tasks_on_connection_loss = False
# Prefetch belongs to each consumer and is never changed; without this line each loss is told in more words.
worker_enable_prefetch_count_reduction = False
# Flower asks workers what they do; it is the only use of remote control.
worker_enable_remote_control = True
# Three messages more for every task; Flower turns them on by remote control while it watches.
worker_send_task_events = False

# --- Children ----------------------------------------------------------------------------------------------------

# A forked child has at once what its service has loaded, torch above all; one that takes a dead child's place works
# within a second. A CUDA context does not survive a fork, so no service makes one (mayfly.workers.service).
worker_pool_start_method = "fork"
# Loading weights takes longer than the four seconds after which Celery gives a child up.
worker_proc_alive_timeout = 180
# A last resort, over the limits that the tasks keep themselves and under RabbitMQ's 30 minutes for an
# acknowledgement (seconds).
task_time_limit = 1700

# --- Logs --------------------------------------------------------------------------------------------------------

# Our processes set up logging themselves.
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- Time --------------------------------------------------------------------------------------------------------

enable_utc = True
timezone = "UTC"
# No schedule file: the slots are in the database, and a beat that starts anew has forgotten nothing.
beat_scheduler = "celery.beat:Scheduler"
beat_max_loop_interval = 5
beat_schedule = {
    name: {
        "task": name,
        "schedule": period,
        # What nobody took in its period is not worth taking later.
        "options": {"queue": queues.MAINTENANCE, "expires": period, "argsrepr": "-", "kwargsrepr": "-"},
    }
    for name, period in queues.PERIODIC.items()
}

# --- What settings decide ----------------------------------------------------------------------------------------


def of(settings: Settings) -> dict[str, object]:
    """The lines that depend on settings; mayfly.tasks.app adds them to the lines above, which read nothing."""
    return broker(settings) | {
        "imports": modules(settings),
        # A child that has grown past this is replaced after its task (kilobytes).
        "worker_max_memory_per_child": settings.child_memory // 1024,
    }


def modules(settings: Settings) -> tuple[str, ...]:
    """Effects of other packages first: mayfly.tasks.stages.effect makes a task of each that is registered.

    Of the process of maintenance they are no business; mayfly.workers.maintenance has imports of its own.
    """
    return (
        *settings.effect_modules,
        "mayfly.tasks.stages.ingest",
        "mayfly.tasks.stages.effect",
        "mayfly.tasks.stages.join",
    )
