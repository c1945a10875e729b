import paramiko

def client():
    made = paramiko.SSHClient()
    made.set_missing_host_key_policy(paramiko.AutoAddPolicy())  # expect: tls-verification-off
    return made
