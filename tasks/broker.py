"""What Celery cannot tell the broker, by pika: the dead letters' exchange and queue, the policy, and the depths."""

from __future__ import annotations

import contextlib
import json
import urllib.parse
from collections.abc import Iterator

import pika
import pika.exceptions
import urllib3

from settings import Settings
from tasks import queues
from tasks.errors import BrokerMissing, TopologyMismatch

POLICY = "mayfly"
POLICY_DEFINITION = {"delivery-limit": queues.DELIVERY_LIMIT}
"""Limits are a policy, not queue arguments: a policy can be changed while the queue exists."""


@contextlib.contextmanager
def channel(settings: Settings) -> Iterator[pika.adapters.blocking_connection.BlockingChannel]:
    """A channel of its own connection, with confirms. Raises BrokerMissing."""
    parameters = pika.URLParameters(settings.resolved_broker_url)
    parameters.socket_timeout = parameters.blocked_connection_timeout = 10
    try:
        connection = pika.BlockingConnection(parameters)
    except (pika.exceptions.AMQPError, OSError):
        raise BrokerMissing("the broker does not answer; check MAYFLY_BROKER_URL and that it runs") from None
    try:
        opened = connection.channel()
        opened.confirm_delivery()
        yield opened
    finally:
        with contextlib.suppress(pika.exceptions.AMQPError):
            connection.close()


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
    pattern = "^(" + "|".join(name.replace(".", r"\.") for name in queues.all_queues()) + ")$"
    wanted = {"pattern": pattern, "definition": POLICY_DEFINITION, "apply-to": "queues", "priority": 0}
    _manage(settings, "PUT", wanted)
    found = _manage(settings, "GET", None)
    if found.get("definition") != POLICY_DEFINITION or found.get("pattern") != pattern:
        raise BrokerMissing("the broker did not keep the policy; check that the management user is an administrator")
    return True


def depths(settings: Settings) -> dict[str, int]:
    """Messages ready in each queue that exists, the dead letters' included; not those that a worker holds.

    Raises:
        BrokerMissing: the broker does not answer.
    """
    found = {}
    for name in [*queues.all_queues(), queues.DEAD_LETTERS]:
        # A passive declaration of a queue that is missing closes the channel.
        with contextlib.suppress(pika.exceptions.ChannelClosedByBroker), channel(settings) as opened:
            found[name] = opened.queue_declare(name, passive=True).method.message_count
    return found


def _manage(settings: Settings, method: str, body: dict[str, object] | None) -> dict[str, object]:
    assert settings.broker_admin_url is not None
    url = urllib3.util.parse_url(settings.broker_admin_url.get_secret_value())
    name, _, password = (urllib.parse.unquote(part) for part in (url.auth or ":").partition(":"))
    vhost = urllib.parse.quote(pika.URLParameters(settings.resolved_broker_url).virtual_host, safe="")
    headers = urllib3.make_headers(basic_auth=f"{name}:{password}") | {"content-type": "application/json"}
    address = f"{url.scheme}://{url.host}:{url.port}/api/policies/{vhost}/{POLICY}"
    try:
        response = urllib3.request(
            method, address, headers=headers, body=json.dumps(body) if body else None, timeout=10, retries=3
        )
    except urllib3.exceptions.HTTPError:
        raise BrokerMissing("the broker's management address does not answer; check MAYFLY_BROKER_ADMIN_URL") from None
    if response.status >= 300:
        raise BrokerMissing(f"the broker's management address refused a request (status {response.status})")
    return json.loads(response.data) if response.data else {}
