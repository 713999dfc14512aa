"""Raw frames with their timestamps as a Matroska stream: how the encoder's pipe learns when each frame is shown.

Only what that needs of Matroska (RFC 9559): one track of uncompressed video in a segment of unknown size, and one
cluster for each frame, whose timestamp is absolute and in nanoseconds.
"""

from __future__ import annotations

from fractions import Fraction

NANOSECONDS = 1_000_000_000
GBRP = b"G3\x00\x08"
"""FFmpeg's code for three planes of 8 bits in the order green, blue, red."""
GBRP16 = b"G3\x00\x10"
"""Likewise of 16 bits, little-endian."""

_UNKNOWN_SIZE = b"\x01\xff\xff\xff\xff\xff\xff\xff"


def header(width: int, height: int, rate: Fraction, colour_space: bytes = GBRP) -> bytes:
    """The stream's start; `rate`, in frames a second, is a hint for the encoder and bounds no timestamp."""
    video = _element(0xB0, _unsigned(width)) + _element(0xBA, _unsigned(height)) + _element(0x2EB524, colour_space)
    track = (
        _element(0xD7, _unsigned(1))  # number
        + _element(0x73C5, _unsigned(1))  # unique number
        + _element(0x83, _unsigned(1))  # video
        + _element(0x86, b"V_UNCOMPRESSED")
        + _element(0x23E383, _unsigned(round(NANOSECONDS / rate)))  # a frame's default duration
        + _element(0xE0, video)
    )
    return (
        _element(0x1A45DFA3, _element(0x4282, b"matroska") + _element(0x4287, _unsigned(4)) + _element(0x4285, b"\2"))
        + bytes.fromhex("18538067")
        + _UNKNOWN_SIZE
        + _element(0x1549A966, _element(0x2AD7B1, _unsigned(1)))  # timestamps are in nanoseconds
        + _element(0x1654AE6B, _element(0xAE, track))
    )


def frame_header(timestamp: int, size: int) -> bytes:
    """What goes before a frame of `size` bytes that is shown at `timestamp` nanoseconds, at least 0."""
    block = b"\x81\x00\x00\x80"  # track 1, no offset from the cluster's timestamp, a keyframe
    start = _element(0xE7, timestamp.to_bytes(8, "big")) + b"\xa3" + _size(len(block) + size) + block
    return bytes.fromhex("1f43b675") + _size(len(start) + size) + start


def _element(identifier: int, content: bytes) -> bytes:
    return _unsigned(identifier) + _size(len(content)) + content


def _unsigned(value: int) -> bytes:
    return value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")


def _size(value: int) -> bytes:
    return (value | 1 << 56).to_bytes(8, "big")
