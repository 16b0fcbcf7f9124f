"""Clients of a memcached on 127.0.0.1:argv[1], each with its own keys; prints what was read back, summed up."""
import hashlib
import socket
import sys
import threading

CLIENTS, KEYS = 6, 3000


def value(client, key):
    return (b"%d-%d." % (client, key)) * (1 + key % 700)


class Client(threading.Thread):
    def __init__(self, number):
        super().__init__()
        self.number = number
        self.digest = hashlib.md5()
        self.stream = socket.create_connection(("127.0.0.1", int(sys.argv[1]))).makefile("rwb")

    def command(self, line, data=b""):
        self.stream.write(line + b"\r\n" + (data + b"\r\n" if data else b""))

    def store(self):
        for key in range(KEYS):
            data = value(self.number, key)
            self.command(b"set %d:%d 0 0 %d noreply" % (self.number, key, len(data)), data)
            if key % 2:
                self.command(b"append %d:%d 0 0 3 noreply" % (self.number, key), b"end")
            if key % 5 == 0:
                self.command(b"delete %d:%d noreply" % (self.number, key))
        self.stream.flush()

    def read_back(self):
        for start in range(0, KEYS, 50):
            names = b" ".join(b"%d:%d" % (self.number, key) for key in range(start, start + 50))
            self.command(b"get " + names)
            self.stream.flush()
            while (line := self.stream.readline()) != b"END\r\n":
                length = int(line.split()[3])
                self.digest.update(line + self.stream.read(length + 2))

    def run(self):
        for _ in range(3):
            self.store()
            self.read_back()


clients = [Client(number) for number in range(CLIENTS)]
for client in clients:
    client.start()
for client in clients:
    client.join()
for client in clients:
    print(client.number, client.digest.hexdigest())
