"""An S3 server on this machine (moto's), behind a proxy that counts requests and lets some of them fail."""

# pyright: reportMissingImports=false

import http.client
import http.server
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

KEY, SECRET = "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY"
ANSWER = "<?xml version='1.0'?><Error><Code>{code}</Code><Message>about {key}</Message></Error>"


@dataclass
class Fault:
    """What happens to the requests whose "METHOD /path?query" fits a pattern.

    Attributes:
        fits: regular expression.
        times: requests that are hit.
        status, code: of the answer; status 0 breaks the connection off, in the middle of the answer if there is one.
        before: called first, for example to change what is in the store.
    """

    fits: str
    times: int = 1
    status: int = 200
    code: str = ""
    before: Callable[[], object] | None = None


@dataclass
class Store:
    """The server and its proxy."""

    address: str
    client: Any  # boto3's, without the proxy
    requests: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def put(self, key: str, content: bytes, bucket: str = "calls") -> None:
        self.client.put_object(Bucket=bucket, Key=key, Body=content)

    def get(self, key: str, bucket: str = "calls") -> bytes:
        return self.client.get_object(Bucket=bucket, Key=key)["Body"].read()

    def list_keys(self, prefix: str = "", bucket: str = "calls") -> list[str]:
        found = self.client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return sorted(entry["Key"] for entry in found)

    def unfinished(self, bucket: str = "calls") -> int:
        """Multipart uploads that are neither completed nor aborted."""
        return len(self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", []))

    def asked(self, fits: str) -> list[str]:
        return [line for line in self.requests if re.search(fits, line)]


@contextmanager
def flaky_store() -> Iterator[Store]:
    """Run both, with a bucket `calls`, and let the environment's programs use them."""
    pytest.importorskip("s3fs", reason="needs pip install 'mpeace[cloud]'")
    server = pytest.importorskip("moto.server", reason="needs pip install 'moto[s3]' flask flask-cors")
    boto3 = pytest.importorskip("boto3")
    import s3fs

    moto = server.ThreadedMotoServer(port=0)
    moto.start()
    host, port = moto.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", KEY)
        patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
        client.create_bucket(Bucket="calls")
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as proxy:
            proxy.daemon_threads = True
            store = Store(f"http://127.0.0.1:{proxy.server_port}", client)
            proxy.store, proxy.behind = store, (host, port)  # type: ignore[attr-defined]
            threading.Thread(target=proxy.serve_forever, daemon=True).start()
            patch.setenv("AWS_ENDPOINT_URL", store.address)
            s3fs.S3FileSystem.clear_instance_cache()
            try:
                yield store
            finally:
                s3fs.S3FileSystem.clear_instance_cache()
                proxy.shutdown()
                moto.stop()


class _Proxy(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def _any(self) -> None:
        store: Store = self.server.store  # type: ignore[attr-defined]
        body = self._body()
        line = f"{self.command} {self.path}"
        store.requests.append(line)
        fault = next((fault for fault in store.faults if fault.times and re.search(fault.fits, line)), None)
        if fault is not None:
            fault.times -= 1
            if fault.before is not None:
                fault.before()
            if fault.status >= 400:
                content = ANSWER.format(code=fault.code, key=KEY).encode()
                self._answer(fault.status, {"Content-Type": "application/xml"}, content, len(content))
                return
        connection = http.client.HTTPConnection(*self.server.behind, timeout=30)  # type: ignore[attr-defined]
        headers = {name: value for name, value in self.headers.items() if name.lower() != "transfer-encoding"}
        connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
        answer = connection.getresponse()
        content = answer.read()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in _OWN}
        length = int(answer.getheader("Content-Length") or len(content))
        if fault is not None and fault.status == 0:
            self._answer(answer.status, kept, content[: len(content) // 2], len(content))
            self.close_connection = True
            self.connection.shutdown(2)
            return
        self._answer(answer.status, kept, content, length)

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", ""):
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: int) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _any


_OWN = ("content-length", "connection", "transfer-encoding", "date", "server")  # headers that each server writes itself
