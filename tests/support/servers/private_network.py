"""What stands between a worker and the vendors in a closed network, on loopback: a proxy that only opens tunnels, and
TLS servers whose certificates a private authority has signed."""

from __future__ import annotations

import base64
import datetime
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

HOSTS = (
    "wedata.intl.tencentcloudapi.com",
    "sts.intl.tencentcloudapi.com",
    "dms-enterprise.aliyuncs.com",
    "sts.aliyuncs.com",
    "quickbi-public.cn-hangzhou.aliyuncs.com",
    "sts.cn-hangzhou.aliyuncs.com",
)
"""The vendors' own hosts, as the connections of the emulated organization name them."""
_PIECE = 65536
_SECONDS = 30.0


@dataclass(frozen=True)
class Authority:
    """A private authority: the PEM file with its certificate, and a server context with a certificate by it."""

    bundle: Path
    server: ssl.SSLContext


def private_authority(folder: Path, hosts: Sequence[str]) -> Authority:
    """Make an authority and a certificate for these hosts."""
    now = datetime.datetime.now(datetime.UTC)
    start, end = now - datetime.timedelta(days=1), now + datetime.timedelta(days=1)
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root_name, name = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in ("Private authority", "Private server")
    )
    root = (
        x509.CertificateBuilder(root_name, root_name, root_key.public_key(), 1, start, end)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        x509.CertificateBuilder(root_name, name, key.public_key(), 2, start, end)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    bundle, served = folder / "private-authority.pem", folder / "private-server.pem"
    bundle.write_bytes(root.public_bytes(Encoding.PEM))
    served.write_bytes(
        leaf.public_bytes(Encoding.PEM) + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(served)
    return Authority(bundle, context)


@dataclass
class TunnelProxy:
    """A running proxy.

    :param target: port on loopback that every tunnel leads to, whatever host it names.
    :param login: what it asks for, as ``user:password``; empty for nothing.
    :param refuse: status that it refuses every tunnel with; empty to open them.
    :param asked: first line of each request to it.
    """

    target: int
    login: str = ""
    refuse: str = ""
    port: int = 0
    asked: list[str] = field(default_factory=list)

    @property
    def address(self) -> str:
        """As a connection names it."""
        return f"http://127.0.0.1:{self.port}"

    def answer(self, head: str) -> str:
        """Return the status for a request to the proxy, ``200`` opens the tunnel."""
        lines = head.split("\r\n")
        self.asked.append(lines[0])
        if not lines[0].startswith("CONNECT "):
            return "405 Method Not Allowed"
        sent = next((line for line in lines if line.lower().startswith("proxy-authorization:")), "")
        wanted = base64.b64encode(self.login.encode()).decode()
        if self.login and sent.partition(": ")[2] != f"Basic {wanted}":
            return "407 Proxy Authentication Required"
        return self.refuse or "200 Connection established"


@contextmanager
def tunnel_proxy(target: int, **options: str) -> Iterator[TunnelProxy]:
    """Run a proxy until the end of the block."""
    proxy = TunnelProxy(target, **options)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_SECONDS)
            head = b""
            while b"\r\n\r\n" not in head and (piece := self.request.recv(_PIECE)):
                head += piece
            status = proxy.answer(head.decode("latin-1"))
            self.request.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
            if status.startswith("200"):
                _join(self.request, socket.create_connection(("127.0.0.1", proxy.target), _SECONDS))

    with _serving(Handler) as proxy.port:
        yield proxy


@contextmanager
def tls_front(target: int, context: ssl.SSLContext) -> Iterator[int]:
    """Serve TLS in front of a plain server on loopback; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.settimeout(_SECONDS)
            with suppress(OSError):  # a client that does not trust the certificate hangs up
                secured = context.wrap_socket(self.request, server_side=True)
                _join(secured, socket.create_connection(("127.0.0.1", target), _SECONDS))

    with _serving(Handler) as port:
        yield port


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def _serving(handler: type[socketserver.BaseRequestHandler]) -> Iterator[int]:
    server = _Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def _join(left: socket.socket, right: socket.socket) -> None:
    """Copy in both directions until one side ends."""

    def copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    with left, right:
        back = threading.Thread(target=copy, args=(right, left), daemon=True)
        back.start()
        copy(left, right)
        back.join(_SECONDS)
