"""What a bucket of uploads must be: it deletes by itself should every purge have stopped, and keeps nothing for good.

The rules are ours by their names. Those of the operator stay byte for byte what they are, so the XML is changed here
and not read into minio's classes, which drop what they do not know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Protocol
from xml.etree import ElementTree as ET

import minio.error

NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
OURS = "mayfly-"
OLD = "mayfly-backstop"  # was one rule for all that lies in the bucket, models included
NO_RULES = frozenset({"NoSuchLifecycleConfiguration", "NoSuchLifecycle"})


class Client(Protocol):
    """Of minio's client what is needed here: one request, whose answer is unread."""

    def ask(self, method: str, bucket: str, query: str, body: bytes | None = None) -> bytes: ...


def is_locked(client: Client, bucket: str) -> bool:
    """Whether object lock is on, under which nothing need be deleted when we say so."""
    try:
        answer = client.ask("GET", bucket, "object-lock")
    except minio.error.S3Error:  # the usual answer of a bucket without
        return False
    return _find(_parsed(answer), "ObjectLockEnabled") == "Enabled"


def versioning(client: Client, bucket: str) -> str:
    """`Enabled`, `Suspended`, or empty where the bucket never kept versions. Raises minio.error.S3Error."""
    return _find(_parsed(client.ask("GET", bucket, "versioning")), "Status")


def versions(client: Client, bucket: str) -> str | None:
    """What an operator should know of the bucket's versioning; None where it is off."""
    try:
        status = versioning(client, bucket)
    except minio.error.S3Error as error:
        return f"whether versioning is on may not be read ({error.code})"
    return f"versioning is {status.lower()}: every version is destroyed" if status else None


def set_rules(client: Client, bucket: str, terms: Mapping[str, int | None]) -> tuple[list[str], list[str]]:
    """Make our rules be what they should, beside those of the operator, and read them back.

    Args:
        client: its bucket exists.
        bucket: its name.
        terms: for each prefix, after how many days what lies under it goes; None: never.

    Returns:
        What is wrong, and what should be known; a sentence each.
    """
    wanted = [_rule(prefix, days) for prefix, days in terms.items() if days is not None]
    # Where none are wanted, ours of other prefixes stay: the bucket may serve for uploads as well.
    replaced = OURS if wanted else OLD
    try:
        found = _rules(client, bucket)
        kept = [rule for rule in found if not _find(rule, "ID").startswith(replaced)]
        if len(kept) + len(wanted) != len(found) or not all(_is_among(rule, found) for rule in wanted):
            _write(client, bucket, kept + wanted)
            found = _rules(client, bucket)
    except minio.error.S3Error as error:
        refused = f"its lifecycle rules cannot be set ({error.code}): nothing is deleted there should every purge stop"
        return ([refused] if wanted else []), []
    wrong = [
        f"rule {_find(rule, 'ID')} is not what was set: nothing is deleted by it should every purge stop"
        for rule in wanted
        if not _is_among(rule, found)
    ]
    others = [rule for rule in found if not _find(rule, "ID").startswith(OURS)]
    wrong += [line for rule in others for line in _conflict(rule, terms)]
    notes = [f"{len(others)} rules of others are kept"] if others else []
    return wrong, notes


def _rule(prefix: str, days: int) -> ET.Element:
    rule = ET.Element("Rule")
    _put(rule, "ID", OURS + prefix.strip("/"))
    _put(rule, "Status", "Enabled")
    _put(_put(rule, "Filter"), "Prefix", prefix)
    _put(_put(rule, "Expiration"), "Days", str(days))
    # Should somebody switch versioning on.
    _put(_put(rule, "NoncurrentVersionExpiration"), "NoncurrentDays", "1")
    _put(_put(rule, "AbortIncompleteMultipartUpload"), "DaysAfterInitiation", "1")
    return rule


def _is_among(rule: ET.Element, found: list[ET.Element]) -> bool:
    # MinIO leaves out what it does for all buckets alike: it aborts unfinished uploads after a day.
    parts = ("Status", "Expiration/Days", "NoncurrentVersionExpiration/NoncurrentDays")
    same = [other for other in found if _find(other, "ID") == _find(rule, "ID")]
    return len(same) == 1 and (
        _prefix(same[0]) == _prefix(rule)
        and all(_find(same[0], part) == _find(rule, part) for part in parts)
        and _find(same[0], "AbortIncompleteMultipartUpload/DaysAfterInitiation") in ("", "1")
    )


def _conflict(rule: ET.Element, terms: Mapping[str, int | None]) -> list[str]:
    """What a rule of others deletes of what is ours before its time."""
    days, date = _find(rule, "Expiration/Days"), _find(rule, "Expiration/Date")
    # Nothing of ours has a tag.
    if _find(rule, "Status") != "Enabled" or not (days or date) or rule.find(".//Tag") is not None:
        return []
    theirs = _prefix(rule)
    early = [
        prefix
        for prefix, ours in terms.items()
        if (date or ours is None or int(days) < ours) and (prefix.startswith(theirs) or theirs.startswith(prefix))
    ]
    name, when = _find(rule, "ID") or "without a name", "at a date" if date else f"after {days} days"
    return [f"the rule {name}, which is not Mayfly's, deletes {', '.join(early)} {when}: too early"] if early else []


def _prefix(rule: ET.Element) -> str:
    return _find(rule, "Filter/Prefix") or _find(rule, "Filter/And/Prefix") or _find(rule, "Prefix")


def _rules(client: Client, bucket: str) -> list[ET.Element]:
    try:
        return _parsed(client.ask("GET", bucket, "lifecycle")).findall("Rule")
    except minio.error.S3Error as error:
        if error.code in NO_RULES:
            return []
        raise


def _write(client: Client, bucket: str, rules: list[ET.Element]) -> None:
    if not rules:
        client.ask("DELETE", bucket, "lifecycle")
        return
    root = ET.Element("LifecycleConfiguration", xmlns=NAMESPACE)
    root.extend(rules)
    client.ask("PUT", bucket, "lifecycle", ET.tostring(root))


def _parsed(answer: bytes) -> ET.Element:
    """The answer without its namespace, which some servers leave out."""
    return ET.fromstring(re.sub(rb'\sxmlns="[^"]*"', b"", answer, count=1))  # noqa: S314 - by the operator's own server


def _find(element: ET.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _put(parent: ET.Element, name: str, text: str | None = None) -> ET.Element:
    made = ET.SubElement(parent, name)
    made.text = text
    return made
