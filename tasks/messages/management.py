"""One request to RabbitMQ's management address: what is no part of AMQP goes by it."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from typing import Any

import urllib3

from mayfly.settings import Settings
from mayfly.tasks.errors import BrokerMissing


def request(settings: Settings, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Send a request below `/api/` and return its answer; an empty one when there is nothing at this path.

    Raises:
        BrokerMissing: the management address does not answer, or refuses the request.
    """
    assert settings.broker_admin_url is not None
    url = urllib3.util.parse_url(settings.broker_admin_url.get_secret_value())
    name, _, password = (urllib.parse.unquote(part) for part in (url.auth or ":").partition(":"))
    headers = urllib3.make_headers(basic_auth=f"{name}:{password}") | {"content-type": "application/json"}
    address = f"{url.scheme}://{url.host}:{url.port}/api/{path}"
    try:
        response = urllib3.request(
            method, address, headers=headers, body=json.dumps(body) if body else None, timeout=10, retries=3
        )
    except urllib3.exceptions.HTTPError:
        raise BrokerMissing("the broker's management address does not answer; check MAYFLY_BROKER_ADMIN_URL") from None
    if response.status == 404 and method == "GET":
        return {}
    if response.status >= 300:
        raise BrokerMissing(f"the broker's management address refused a request (status {response.status})")
    return json.loads(response.data) if response.data else {}
