"""The HTTP/2 library, configured for this server. Two kinds of frames are made without it.

The library copies each DATA frame four times, so they are made here. And once it has sent or
received GOAWAY it sends nothing more, so a GOAWAY after which answers go on is made here, too.
"""

import re
import struct
from collections.abc import Iterable
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import Event
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings
from hpack import Decoder, HeaderTuple, HPACKDecodingError
from hyperframe.frame import GoAwayFrame

from regcache.web.http2.limits import (
    MOST_CLOSED,
    MOST_HEADER_LIST,
    MOST_OPENED,
    MOST_STREAMS,
    MOST_TABLE,
)

_HEAD = struct.Struct(">HBBBL")
_DATA = 0
_MOST_OF_OURS = 65536
#: A block that begins with three changes of the table size; two are enough (RFC 7541, 4.2).
_SIZE_CHANGES = re.compile(rb"(?:[\x20-\x3e]|\x3f[\x80-\xff]*[\x00-\x7f]){3}")
#: A number of very many octets: all but its last have the highest bit set (RFC 7541, 5.1). So may
#: those of a string, but hardly so many in a row: most would have to encode rare letters.
_LONG_NUMBER = re.compile(rb"[\x80-\xff]{2048}")


class BoundedDecoder(Decoder):
    """Decodes header blocks (HPACK, RFC 7541), with work in proportion to their bytes.

    A block of 20 KB may have thousands of changes of the table size, or a number of thousands of
    digits. The library works on either for up to a tenth of a second.
    """

    def decode(self, data: bytes, raw: bool = False) -> Iterable[HeaderTuple]:
        """The fields of a block.

        :raises HPACKDecodingError: for malformed blocks, and for valid ones that cost too much.
        """
        if _LONG_NUMBER.search(data) or _SIZE_CHANGES.match(data):
            raise HPACKDecodingError("a number is too long, or there are too many table sizes")
        return super().decode(data, raw)


class _OwnSettings(Settings):
    """The settings that the client is told. But the library allows more streams than they say.

    At its own limit it would end the whole connection, not just the stream that is too many.
    """

    @property  # type: ignore[misc]
    def max_concurrent_streams(self) -> int:
        """How many streams the library opens."""
        return MOST_OPENED


class H2State(H2Connection):
    """The state of one connection, seen from the server.

    Fields of requests are not checked here, but in :mod:`regcache.web.http2.head`, so that
    a bad request costs a client that request and not its connection.
    """

    MAX_CLOSED_STREAMS = MOST_CLOSED

    def __init__(self) -> None:
        super().__init__(
            H2Configuration(
                client_side=False,
                header_encoding=None,
                validate_inbound_headers=False,
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self.local_settings = _OwnSettings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: MOST_STREAMS,
                SettingCodes.MAX_HEADER_LIST_SIZE: MOST_HEADER_LIST,
                SettingCodes.ENABLE_PUSH: 0,
            },
        )
        self.decoder = BoundedDecoder()
        self.decoder.max_header_list_size = MOST_HEADER_LIST

    def receive_data(self, data: Any) -> list[Event]:
        """The events in some bytes.

        :raises ProtocolError: if they violate the protocol, or make the library fail: some of its
            versions do so on numbers of thousands of digits, and its state is undefined then.
        """
        try:
            return super().receive_data(data)
        except ProtocolError:
            raise
        except Exception as error:
            raise ProtocolError(f"the frames cannot be read: {type(error).__name__}") from error

    def room(self, stream_id: int) -> int:
        """How many bytes the window of a stream allows; 0 for a closed stream."""
        stream = self.streams.get(stream_id)
        if stream is None or stream.closed:
            return 0
        return stream.outbound_flow_control_window

    def open_window(self, stream_id: int, increment: int) -> bool:
        """Open the window of a stream, or of the connection (0). False: leave it to the library.

        RFC 9113, 6.9: an increment of 0 is an error, and so is a window that is too large.
        """
        target: Any = self.streams.get(stream_id) if stream_id else self
        if target is None or (stream_id and target.closed) or not increment:
            return False
        window = target.outbound_flow_control_window + increment
        if window > self.MAX_WINDOW_INCREMENT:
            return False
        target.outbound_flow_control_window = window
        return True

    def frame(self, stream_id: int, data: memoryview) -> Iterable[bytes | memoryview]:
        """DATA frames (RFC 9113, 6.1), in pieces. Both windows must have room for the data."""
        count = len(data)
        self.outbound_flow_control_window -= count
        self.streams[stream_id].outbound_flow_control_window -= count
        most = min(self.max_outbound_frame_size, _MOST_OF_OURS)
        for start in range(0, count, most):
            part = data[start : start + most]
            length = len(part)
            yield _HEAD.pack(length >> 8, length & 0xFF, _DATA, 0, stream_id)
            yield part

    def end(self, stream_id: int) -> None:
        """End the answer. If the request is not complete, its rest is not needed any more.

        RFC 9113, 8.1: the stream is reset with NO_ERROR, and the client still reads the answer.
        """
        stream = self.streams.get(stream_id)
        if stream is None or stream.closed:
            return
        self.end_stream(stream_id)
        if not stream.closed:
            self.reset(stream_id, ErrorCodes.NO_ERROR)

    def reset(self, stream_id: int, code: ErrorCodes) -> None:
        """Reset a stream, unless it is closed."""
        stream = self.streams.get(stream_id)
        if stream is not None and not stream.closed and self.is_open:
            self.reset_stream(stream_id, code)

    @property
    def is_open(self) -> bool:
        """Whether frames may be sent at all."""
        return self.state_machine.state.name != "CLOSED"

    def goodbye(self) -> bytes:
        """Send a GOAWAY (RFC 9113, 6.8) after which the present streams go on."""
        frame = GoAwayFrame(0)
        frame.last_stream_id = self.highest_inbound_stream_id
        frame.error_code = ErrorCodes.NO_ERROR
        return bytes(frame.serialize())

    def fail(self, code: int) -> None:
        """Send a GOAWAY with a reason, unless the library did so for a fault that it found."""
        if self.is_open:
            self.close_connection(code)

    def bound_table(self) -> None:
        """Keep the table of our encoder small, even if the client's settings allow a larger one."""
        if self.encoder.header_table_size > MOST_TABLE:
            self.encoder.header_table_size = MOST_TABLE


__all__ = ["ErrorCodes", "H2State", "ProtocolError"]
