"""Object stores on the loopback address, for the tests: S3 by moto, GCS by gcp-storage-emulator."""

import contextlib
import logging
import socket
import threading
from collections.abc import Generator
from http import HTTPStatus

import pytest

from hpunet_jax import buckets

BUCKET, REFUSING = "runs", "refusing"


class S3:
    """An S3 with an empty bucket, that can be taken away and brought back."""

    def __init__(self):
        module = pytest.importorskip("moto.server", reason="moto's server is not installed")
        pytest.importorskip("s3fs", reason="s3fs is not installed")
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._start = lambda port: module.ThreadedMotoServer("127.0.0.1", port, verbose=False)
        self.port = 0
        self.start()

    def start(self) -> None:
        self._running = self._start(self.port)
        self._running.start()
        self.port = self._running.get_host_and_port()[1]

    def stop(self) -> None:
        self._running.stop()

    @contextlib.contextmanager
    def gone_for(self, seconds: float) -> Generator[None]:
        """Nobody is there at first; the body has to wait."""
        self.stop()
        timer = threading.Timer(seconds, self.start)
        timer.start()
        yield
        timer.join()


@contextlib.contextmanager
def gs_server() -> Generator[int]:
    """Starts a GCS with an empty bucket; yields its port.

    The emulator knows nothing of `ifGenerationMatch=0`, by which an object is only created where
    there is none, nor of buckets that refuse writes: both are added here.
    """
    emulator = pytest.importorskip(
        "gcp_storage_emulator.server", reason="gcp-storage-emulator is not installed"
    )
    pytest.importorskip("gcsfs")
    from gcp_storage_emulator.handlers import objects

    insert = objects._multipart_upload

    def conditional(request, response, storage):
        bucket, name = request.params["bucket_name"], request.data["meta"].get("name")
        if bucket == REFUSING:
            response.status = HTTPStatus.FORBIDDEN
            return response.json({"error": {"message": "no storage.objects.create access"}})
        if request.query.get("ifGenerationMatch") == ["0"]:
            with contextlib.suppress(Exception):
                storage.get_file_obj(bucket, name)
                response.status = HTTPStatus.PRECONDITION_FAILED
                return response.json({"error": {"message": "conditionNotMet"}})
        return insert(request, response, storage)

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    objects._multipart_upload = conditional
    running = emulator.create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    running.start()
    try:
        yield port
    finally:
        running.stop()
        objects._multipart_upload = insert


def environment(s3: int = 0, gs: int = 0) -> dict[str, str]:
    """What tells the clients of S3 and GCS where the servers are."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{gs}",
    }


@contextlib.contextmanager
def clients_of(monkeypatch: pytest.MonkeyPatch, s3: int = 0, gs: int = 0) -> Generator[None]:
    """Lets this process, and those that it starts, talk to these servers."""
    for name, value in environment(s3, gs).items():
        monkeypatch.setenv(name, value)
    buckets._clients.cache_clear()
    if s3:
        with contextlib.suppress(FileExistsError):
            buckets._clients("s3").mkdir(BUCKET)
    yield
    buckets._clients.cache_clear()
