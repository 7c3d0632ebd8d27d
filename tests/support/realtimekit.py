"""A system bus of one's own with a RealtimeKit that is played by the test: it gives, or refuses."""

import os
import shutil
import subprocess
import threading
from types import TracebackType
from typing import Any, Self

import pytest


class RealtimeKit:
    """Context. Programs with `environment` find this bus.

    Args:
        gives: whether it answers requests; else it is no more there than on a machine without it.

    Attributes:
        environment: for programs that shall use it.
        asked: process, thread and priority of each request.
    """

    def __init__(self, gives: bool = True) -> None:
        if shutil.which("dbus-daemon") is None:
            pytest.skip("needs dbus-daemon (package dbus)")
        pytest.importorskip("jeepney")
        self._gives = gives
        self.asked: list[tuple[int, int, int]] = []

    def __enter__(self) -> Self:
        command = ["dbus-daemon", "--session", "--nofork", "--print-address"]
        self._daemon = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._daemon.stdout is not None
        address = self._daemon.stdout.readline().strip()
        self.environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
        if self._gives:
            self._serve(address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._daemon.terminate()
        self._daemon.wait()

    def _serve(self, address: str) -> None:
        from jeepney import MessageType, new_error, new_method_return
        from jeepney.bus_messages import message_bus
        from jeepney.io.blocking import open_dbus_connection

        bus: Any = open_dbus_connection(address)
        bus.send_and_get_reply(message_bus.RequestName("org.freedesktop.RealtimeKit1"))

        def answer() -> None:
            while True:
                try:
                    message = bus.receive()
                except (ConnectionError, OSError):
                    return
                if message.header.message_type is not MessageType.method_call:
                    continue
                if len(message.body) == 2:  # a property
                    bus.send(new_method_return(message, "v", (("x", 200_000),)))
                elif message.body[2] > 20:
                    bus.send(new_error(message, "org.freedesktop.DBus.Error.AccessDenied"))
                else:
                    self.asked.append(message.body)
                    bus.send(new_method_return(message))

        threading.Thread(target=answer, daemon=True).start()
