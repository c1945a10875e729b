import subprocess
from flask import request

def deploy():
    branch = request.json["branch"]
    subprocess.Popen(["bash", "-c", "git checkout " + branch])  # expect: command-injection
