import paramiko
from flask import request
UNITS = frozenset(("web", "queue"))

def remote():
    client = paramiko.SSHClient()
    client.connect("host")
    unit = request.args["unit"]
    if unit in UNITS:
        client.exec_command(f"systemctl restart {unit}")
