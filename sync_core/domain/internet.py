"""Which network addresses belong to the public internet. Pure: nothing is resolved here."""

from __future__ import annotations

import ipaddress

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
"""How IPv6-only networks reach IPv4."""
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
"""The same, for translators of a network's own."""


def is_global_unicast(address: str) -> bool:
    """Tell whether a resolved address is one host on the public internet.

    An IPv6 address that embeds an IPv4 address (mapped, 6to4, NAT64) is as public as that. What is no address in its
    canonical form, such as `127.1` or `0177.0.0.1`, is not; a resolver turns those into one first.

    Examples
    --------
    >>> is_global_unicast("93.184.215.14"), is_global_unicast("::ffff:10.0.0.1")
    (True, False)
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        embedded = parsed.ipv4_mapped or parsed.sixtofour or _translated(parsed)
        if embedded is not None:
            return is_global_unicast(str(embedded))
        if parsed.is_reserved or parsed.is_site_local or parsed in _LOCAL_NAT64:
            return False
    return parsed.is_global and not parsed.is_multicast


def _translated(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
