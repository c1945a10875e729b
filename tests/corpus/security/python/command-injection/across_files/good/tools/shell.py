import subprocess

def run(command):
    return subprocess.run(command, capture_output=True).stdout
