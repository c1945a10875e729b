import subprocess
from flask import request

def control():
    action = request.get_json()["action"]
    match action:
        case "status" | "restart":
            subprocess.run(f"systemctl {action} web", shell=True)
        case _:
            return {}, 400
    return {}
