"""Says one message again and again as a guest, QoS 0: `PORT TOPIC RATE SECONDS`, its payload on standard input.

Prints how many it said. Raw packets: a client's own work would be the limit.
"""

import socket
import sys
import time


def main() -> None:
    port, topic, rate, seconds = int(sys.argv[1]), sys.argv[2].encode(), float(sys.argv[3]), float(sys.argv[4])
    payload = sys.stdin.buffer.read()
    body = len(topic).to_bytes(2, "big") + topic + payload
    length, head = len(body), bytearray(b"\x30")
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    packet = bytes(head) + bytes([length]) + body
    name = b"flood-%d" % time.monotonic_ns()
    connect = b"\x00\x04MQTT\x04\x02\x00\x3c" + len(name).to_bytes(2, "big") + name
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.sendall(b"\x10" + bytes([len(connect)]) + connect)
        assert link.recv(4)[3] == 0
        begun, said = time.monotonic(), 0
        while (passed := time.monotonic() - begun) < seconds:
            due = int(passed * rate) - said
            if due > 0:
                link.sendall(packet * min(due, 500))
                said += min(due, 500)
            else:
                time.sleep(0.002)
        print(said)


if __name__ == "__main__":
    main()
