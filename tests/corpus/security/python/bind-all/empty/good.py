import socket
server = socket.socket()
server.bind("/run/app.sock")
