"""What the client would leave open. Any other test fails, too, after which a socket is garbage before it is closed."""

import socket

from kafka.net.selector import NetworkSelector
from kafka.net.transport import KafkaTCPTransport

from worker.kafka_io.fixes.sockets import close_sockets


def test_a_connection_that_is_closed_with_bytes_to_send_is_closed_with_its_client() -> None:
    close_sockets()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        net = NetworkSelector()
        transport = KafkaTCPTransport(net, ours)
        transport.write(b"never sent")
        transport.close()
        net.close()
        assert ours.fileno() == -1
