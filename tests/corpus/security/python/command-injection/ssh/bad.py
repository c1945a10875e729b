import paramiko
from flask import request

def remote():
    client = paramiko.SSHClient()
    client.connect("host")
    client.exec_command(f"systemctl restart {request.args['unit']}")  # expect: command-injection
