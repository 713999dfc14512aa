"""What Celery cannot tell the broker or ask it: dead letters' exchange and queue, the policy, how its queues are."""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import ssl
import urllib.parse
from collections.abc import Iterator

import pika
import pika.exceptions
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from mayfly.settings import Settings
from mayfly.tasks.errors import BrokerMissing, BrokerRefused, TopologyMismatch
from mayfly.tasks.messages import management, queues

POLICY = "mayfly"
POLICY_DEFINITION = {"delivery-limit": queues.DELIVERY_LIMIT}
"""Limits are a policy, not queue arguments: a policy can be changed while the queue exists."""

CONNECT_SECONDS = 5.0
HEARTBEAT_SECONDS = 20
ALARM_SECONDS = 2.0  # a broker that takes messages confirms one within milliseconds
NOTICE_SECONDS = 0.1  # and says within a few whether it blocks whoever publishes
NOWHERE = "mayfly.nowhere"  # no queue has this name, so what is sent there is dropped


@dataclasses.dataclass(frozen=True)
class QueueState:
    """How a queue is: messages that nobody holds yet, and who takes them."""

    messages: int
    consumers: int


@contextlib.contextmanager
def channel(settings: Settings) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A channel of its own connection, with confirms. Raises BrokerMissing, also when the connection is lost later."""
    with _connection(settings) as connection:
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened


def probe(settings: Settings) -> None:
    """Open a connection and close it.

    Raises:
        BrokerMissing: the broker does not answer; it may be away for a while.
        BrokerRefused: its address is wrong, and will be in a while as well.
    """
    with _connection(settings):
        pass


def declare(settings: Settings) -> None:
    """Declare the exchanges and queues and check that the broker has them as we mean them.

    Raises:
        BrokerMissing: the broker does not answer.
        TopologyMismatch: an exchange or queue exists with other properties.
    """
    with channel(settings) as opened:
        try:
            opened.exchange_declare(queues.EXCHANGE, "direct", durable=True)
            opened.exchange_declare(queues.DEAD_LETTERS, "fanout", durable=True)
            opened.queue_declare(queues.DEAD_LETTERS, durable=True, arguments=queues.QUORUM)
            opened.queue_bind(queues.DEAD_LETTERS, queues.DEAD_LETTERS)
            for name in queues.all_queues():
                opened.queue_declare(name, durable=True, arguments=queues.arguments(name))
                opened.queue_bind(name, queues.EXCHANGE, routing_key=name)
        except pika.exceptions.ChannelClosedByBroker as error:
            raise TopologyMismatch(
                f"the broker has an exchange or queue with other properties (reply {error.reply_code}); "
                "empty it and delete it, then start again"
            ) from None


def set_policy(settings: Settings) -> bool:
    """Set the delivery limit and read it back.

    Returns:
        False when no management address is configured, so that an operator must set the policy:
        `rabbitmqctl set_policy mayfly ".*" '{"delivery-limit":3}' --apply-to queues`.

    Raises:
        BrokerMissing: the management address does not answer, or does not accept the policy.
    """
    if settings.broker_admin_url is None:
        return False
    wanted = {"pattern": _pattern(), "definition": POLICY_DEFINITION, "apply-to": "queues", "priority": 0}
    management.request(settings, "PUT", _policy_path(settings), wanted)
    if not has_policy(settings):
        raise BrokerMissing("the broker did not keep the policy; check that the management user is an administrator")
    return True


def has_policy(settings: Settings) -> bool | None:
    """Whether the broker has our policy; None when no management address is configured.

    Raises:
        BrokerMissing: the management address does not answer, or refuses.
    """
    if settings.broker_admin_url is None:
        return None
    found = management.request(settings, "GET", _policy_path(settings))
    return (found.get("definition"), found.get("pattern")) == (POLICY_DEFINITION, _pattern())


def states(settings: Settings) -> dict[str, QueueState]:
    """How each queue is that exists, the dead letters' included.

    Raises:
        BrokerMissing: the broker does not answer.
    """
    found = {}
    with _connection(settings) as connection:
        for name in [*queues.all_queues(), queues.DEAD_LETTERS]:
            # A passive declaration of a queue that is missing closes the channel.
            with contextlib.suppress(pika.exceptions.ChannelClosedByBroker), connection.channel() as opened:
                state = opened.queue_declare(name, passive=True).method
                found[name] = QueueState(state.message_count, state.consumer_count)
    return found


def depths(settings: Settings) -> dict[str, int]:
    """Messages ready in each queue that exists, the dead letters' included; not those that a worker holds.

    Raises:
        BrokerMissing: the broker does not answer.
    """
    return {name: state.messages for name, state in states(settings).items()}


def blocked(settings: Settings) -> str | None:
    """Why the broker takes no messages at present, in its own words; None when it does.

    Raises:
        BrokerMissing: the broker does not answer.
    """
    reasons = []
    with _connection(settings, blocked_seconds=ALARM_SECONDS) as connection:
        # It says so to whoever publishes, and confirms nothing until its alarm is over.
        connection.add_on_connection_blocked_callback(lambda _, frame: reasons.append(str(frame.method.reason)))
        try:
            opened = connection.channel()
            opened.confirm_delivery()
            # It may still confirm the first one, and reads no other.
            for _ in range(2):
                opened.basic_publish("", NOWHERE, b"")
                connection.process_data_events(time_limit=NOTICE_SECONDS)
                if reasons:
                    return reasons[0]
        except pika.exceptions.ConnectionBlockedTimeout:
            return "no reason given"
    return None


def _pattern() -> str:
    return "^(" + "|".join(name.replace(".", r"\.") for name in queues.all_queues()) + ")$"


def _policy_path(settings: Settings) -> str:
    vhost = pika.URLParameters(settings.resolved_broker_url).virtual_host
    return f"policies/{urllib.parse.quote(vhost, safe='')}/{POLICY}"


@contextlib.contextmanager
def _connection(settings: Settings, *, blocked_seconds: float = CONNECT_SECONDS) -> Iterator[pika.BlockingConnection]:
    try:
        parameters = pika.URLParameters(settings.resolved_broker_url)
    except ValueError:
        raise BrokerRefused(
            "MAYFLY_BROKER_URL is no address of a broker; write amqp://NAME:PASSWORD@HOST:PORT/VHOST"
        ) from None
    parameters.socket_timeout = parameters.stack_timeout = CONNECT_SECONDS
    parameters.blocked_connection_timeout = blocked_seconds
    parameters.heartbeat = HEARTBEAT_SECONDS
    try:
        connection = pika.BlockingConnection(parameters)
    except (pika.exceptions.AMQPError, AMQPConnectorException, OSError) as error:
        raise _why(error) from None
    try:
        yield connection
    except (pika.exceptions.AMQPConnectionError, AMQPConnectorException):
        raise BrokerMissing("the connection to the broker was lost; try again") from None
    finally:
        with contextlib.suppress(pika.exceptions.AMQPError):
            connection.close()


def _why(error: Exception) -> BrokerMissing:
    """What is wrong when no connection was made; the text repeats nothing of the address."""
    if isinstance(error, pika.exceptions.ProbableAuthenticationError):
        return BrokerRefused("the broker refused the user's name or password; check MAYFLY_BROKER_URL")
    if isinstance(error, pika.exceptions.ProbableAccessDeniedError):
        return BrokerRefused(
            "the broker has no such virtual host, or this user may not enter it; check the end of MAYFLY_BROKER_URL"
        )
    if isinstance(error, ssl.SSLError):
        return BrokerMissing(
            "no TLS with the broker; check certificate and port, and whether MAYFLY_BROKER_URL is amqps"
        )
    if isinstance(error, socket.gaierror) and error.errno != socket.EAI_AGAIN:
        return BrokerRefused("no machine has the broker's host name; check MAYFLY_BROKER_URL")
    if isinstance(error, pika.exceptions.IncompatibleProtocolError | AMQPConnectorException):
        return BrokerMissing("what answers at MAYFLY_BROKER_URL does not speak as a broker does; check host and port")
    return BrokerMissing("the broker does not answer; check MAYFLY_BROKER_URL and that it runs")
