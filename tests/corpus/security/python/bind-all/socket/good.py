import socket
server = socket.socket()
server.bind(("localhost", 9000))
EMPTY = "0.0.0.0"
