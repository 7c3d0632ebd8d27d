"""Who a request comes from, as far as an address tells, so that one visitor does not take the room of all."""

from collections.abc import Mapping
from contextvars import ContextVar
from ipaddress import ip_address, ip_network
from typing import Any

VISITOR: ContextVar[str] = ContextVar("visitor", default="")
"""Visitor whose request is being answered; empty when nobody knows."""


def visitor_of(scope: Mapping[str, Any]) -> str:
    """Return the visitor of an ASGI request: an address, or a network of IPv6, which one household has.

    Addresses of this machine are those of whoever serves, or of a reverse proxy that does not say for whom it asks:
    they stand for nobody, and get an empty name.

    Example:
        >>> visitor_of({"client": ("203.0.113.7", 4711)}), visitor_of({"client": ("127.0.0.1", 4711)})
        ('203.0.113.7', '')
        >>> visitor_of({"client": ("2001:db8:1:2:3:4:5:6", 4711)})
        '2001:db8:1:2::/64'
    """
    try:
        address = ip_address((scope.get("client") or ("",))[0])
    except ValueError:
        return ""
    if address.is_loopback:
        return ""
    return str(address) if address.version == 4 else str(ip_network((address, 64), strict=False))
