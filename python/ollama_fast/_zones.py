"""IPv6 addresses with a zone, which names a network interface of this machine: for the system, and for others."""

from __future__ import annotations

import re


def with_index(address: str) -> str:
    """
    Give *address*, the host of a URL, as the system looks it up: with the number of the interface for its zone.

    A URL has "%25" before a zone, which no system knows; and by its name some take one for link-local addresses alone.
    """
    literal, percent, zone = address.partition("%")
    if not percent or ":" not in literal:
        return address
    import socket

    zone = zone_of(zone)
    try:
        return f"{literal}%{socket.if_nametoindex(zone)}"
    except OSError:
        return f"{literal}%{zone}"  # a number, or no interface, which the look-up says


def zone_of(text: str) -> str:
    """Give the zone that a URL has as *text* behind a "%": it should be written as "%25", and often is not."""
    return text if text == "25" else text.removeprefix("25")


def without_zone(place: str) -> str:
    """Give *place*, an address with or without brackets and port, without its zone: that is for this machine alone."""
    return re.sub(r"^(\[?[^%]*:[^%]*)%[^\]]*", r"\1", place) if "%" in place else place
