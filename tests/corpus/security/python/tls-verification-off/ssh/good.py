import paramiko

def client():
    made = paramiko.SSHClient()
    made.load_system_host_keys()
    made.set_missing_host_key_policy(paramiko.RejectPolicy())
    return made
