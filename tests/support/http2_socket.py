"""A client that speaks HTTP/2 over a real connection, on a blocking socket."""

import socket
import ssl
from collections.abc import Callable, Iterable

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from tests.support.http2_client import StreamAnswer, fields


class SocketHttp2:
    """One connection, which may open more streams than the server allows.

    :param window: the initial window of each stream, which is never opened further.
    :ivar answers: what has come, by stream.
    :ivar goaway: the code of GOAWAY, or None.
    """

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, *, window: int = 65535
    ) -> None:
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(address, timeout=60)
        self._socket = context.wrap_socket(plain, server_hostname=address[0])
        self._h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self._h2.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window}
        )
        self._h2.initiate_connection()
        self.answers: dict[int, StreamAnswer] = {}
        self.goaway: int | None = None
        self._flush()
        self.read_until(lambda: SettingCodes.MAX_CONCURRENT_STREAMS in self._h2.remote_settings)
        self._h2.remote_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = 10_000
        self._h2.remote_settings.acknowledge()

    def begin(self, targets: Iterable[str]) -> list[StreamAnswer]:
        """Ask for all of them in one write; their answers, which come when they are read."""
        begun = []
        for target in targets:
            stream = self._h2.get_next_available_stream_id()
            self.answers[stream] = StreamAnswer()
            begun.append(self.answers[stream])
            self._h2.send_headers(stream, fields("GET", target), end_stream=True)
        self._flush()
        return begun

    def get(self, target: str) -> StreamAnswer:
        """Ask for one, and wait for its end."""
        (answer,) = self.begin([target])
        self.read_until(lambda: answer.ended or answer.reset is not None)
        return answer

    def open_and_reset(self, target: str) -> None:
        """Open a stream, and reset it at once."""
        stream = self._h2.get_next_available_stream_id()
        self._h2.send_headers(stream, fields("GET", target), end_stream=True)
        self._h2.reset_stream(stream)
        self._flush()

    def read_until(self, done: Callable[[], bool]) -> None:
        """Read what comes until that holds. Raises ConnectionError at the end of it all."""
        while not done():
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            for event in self._h2.receive_data(data):
                self._note(event)
            self._flush()

    def close(self) -> None:
        """Cut the connection."""
        self._socket.close()

    def _flush(self) -> None:
        self._socket.sendall(self._h2.data_to_send())

    def _note(self, event: events.Event) -> None:
        if isinstance(event, events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
            return
        answer = self.answers.get(getattr(event, "stream_id", None) or 0)
        if answer is None:
            return
        if isinstance(event, events.ResponseReceived):
            answer.headers = dict(event.headers)  # type: ignore[arg-type]
        elif isinstance(event, events.DataReceived):
            answer.body += event.data or b""
        elif isinstance(event, events.StreamEnded):
            answer.ended = True
        elif isinstance(event, events.StreamReset):
            answer.reset = int(event.error_code or 0)
