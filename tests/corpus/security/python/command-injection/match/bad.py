import subprocess
from flask import request

def control():
    action = request.get_json()["action"]
    match action:
        case "status" | "restart":
            subprocess.run(f"systemctl {action} web", shell=True)
        case other:
            subprocess.run(f"systemctl {other} web", shell=True)  # expect: command-injection
    return {}
