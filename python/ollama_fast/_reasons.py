"""What keeps calls from reaching Ollama, in plain words, and what to do: out of what was raised or answered; pure."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from typing import Final, NamedTuple

from ._zones import without_zone


class Reason(NamedTuple):
    """
    Why there is no connection, or none to Ollama.

    Args:
        kind: One word for it; "" if it is not known.

        what: What is wrong, for people; "" if it is not known.

        todo: What to do; "" if that depends on what the host is.
    """

    kind: str = ""
    what: str = ""
    todo: str = ""


_FILES: Final = Reason(
    "files",
    "this process, or the system, has as many files and connections open as it may",
    "close streams that are not read to their end, lower Limits.max_connections, or raise the limit (`ulimit -n`)",
)
_NO_ROUTE: Final = Reason(
    "unreachable", "no way leads there from this machine", "is the network, or the VPN, up, and the address right?"
)
_BY_NUMBER: Final = {
    errno.ECONNREFUSED: Reason("refused", "the machine answers, but nothing listens at that port"),
    errno.ENETUNREACH: _NO_ROUTE,
    errno.EHOSTUNREACH: _NO_ROUTE,
    errno.ETIMEDOUT: Reason(
        "timeout", "nothing answers at that address", "is the machine on, and does no firewall drop the packets?"
    ),
    errno.EMFILE: _FILES,
    errno.ENFILE: _FILES,
    errno.EADDRNOTAVAIL: Reason(
        "address",
        "this machine has no address or no free port for the connection",
        "make fewer connections, or keep them: one Host, or one client, for many calls",
    ),
}
_NO_NAME: Final = Reason("name", "the name is not known to DNS", "is the host written right?")
_NO_INTERFACE: Final = Reason(
    "zone",
    "this machine has no network interface of that name",
    "is what stands behind the percent sign right? `ip address` or `ifconfig` lists them",
)
_NO_DNS: Final = Reason(
    "dns", "the name cannot be looked up, because no DNS server answers", "is there a network, and is its DNS set up?"
)
NO_TLS: Final = Reason(
    "no-tls", "what listens there speaks no TLS", "write http:// in place of https://, or give the port that has TLS"
)
_NOT_TRUSTED: Final = Reason(
    "certificate",
    "its certificate is not one that is trusted here",
    "give the certificates to trust as a file, Host(url, verify='ca.pem'); verify=False trusts everybody",
)
ONLY_TLS: Final = Reason("tls", "what listens there speaks TLS", "write https:// in place of http://")
"""What a server means that answers a plain request so."""
_NO_GATEWAY: Final = Reason(
    "gateway",
    "a proxy or gateway cannot reach what is behind it",
    "is Ollama running there, and may this host be asked through that proxy? NO_PROXY names hosts that need none",
)
_BY_STATUS: Final = {
    407: Reason(
        "proxy",
        "the proxy wants user name and password",
        "put them into the URL of the proxy; NO_PROXY names hosts that need none",
    ),
    502: _NO_GATEWAY,
    503: _NO_GATEWAY,
    504: _NO_GATEWAY,
}


def root_of(exc: BaseException) -> BaseException:
    """Give the exception that others were raised from."""
    while True:
        # httpcore raises its own "from None", which leaves what they came from as their context.
        hidden = exc.__context__ if type(exc).__module__.startswith("httpcore") else None
        cause = exc.__cause__ or (hidden if isinstance(hidden, OSError) else None)
        if isinstance(exc, BaseExceptionGroup):  # of asyncio's attempts, one for each address
            cause = exc.exceptions[0]
        if cause is None:
            return exc
        exc = cause


def reason(exc: BaseException, place: str = "") -> Reason:
    """Say what *exc*, from an attempt to connect to *place*, means."""
    root = root_of(exc)
    said = f"{exc} {root}"
    unknown = _NO_INTERFACE if without_zone(place) != place else _NO_NAME
    if isinstance(root, socket.gaierror):
        return _NO_DNS if root.errno == socket.EAI_AGAIN else unknown
    if isinstance(root, ssl.SSLError) or "[SSL" in said:
        if "CERTIFICATE_VERIFY_FAILED" in said:
            return _NOT_TRUSTED
        return NO_TLS if re.search("WRONG_VERSION_NUMBER|RECORD_LAYER|HTTP_REQUEST|PACKET_LENGTH", said) else Reason()
    if isinstance(root, TimeoutError) and root.errno is None:
        return _BY_NUMBER[errno.ETIMEDOUT]
    number = _number(root, said)
    if number < 0:  # those of name look-ups
        return _NO_DNS if number == socket.EAI_AGAIN else unknown
    return _BY_NUMBER.get(number) or _of_connect(exc)


def _of_connect(exc: BaseException) -> Reason:
    """Say what a proxy means that said no to CONNECT, as httpx tells it."""
    status = re.match("[45][0-9]{2} ", str(exc)) if type(exc).__name__ == "ProxyError" else None
    return Reason() if status is None else _BY_STATUS.get(int(status[0]), Reason())


def words(exc: BaseException) -> str:
    """Give what *exc* says, the same for every transport; "" if it says nothing."""
    root = root_of(exc)
    number = _number(root, str(root))
    return f"[Errno {number}] {os.strerror(number)}" if number in _BY_NUMBER else str(root)


def _number(root: BaseException, said: str) -> int:
    """Give the number of the operating system's error; 0 if there is none."""
    if isinstance(root, OSError) and root.errno is not None:
        return root.errno
    found = re.search(r"(?:\[Errno |os error )(-?[0-9]+)[\])]", said)
    return int(found[1]) if found else 0


def of_status(status: int, body: bytes) -> Reason:
    """Say what an answer means that is of a proxy, or of a server that wants TLS, and not of Ollama."""
    if status == 400 and speaks_tls(body):
        return ONLY_TLS
    return _BY_STATUS.get(status, Reason())


def speaks_tls(said: bytes | str) -> bool:
    """Whether what came, or what an error says of it, is how a TLS server answers a request in plain HTTP."""
    text = said if isinstance(said, str) else said[:1000].decode("latin-1")
    # A TLS alert; the words of Go's server, of nginx and of Apache.
    return text.startswith(("\x15\x03", "\\x15\\x03")) or bool(
        re.search(
            "HTTP request to an HTTPS server|plain HTTP request was sent to HTTPS|speaking plain HTTP to an SSL", text
        )
    )
