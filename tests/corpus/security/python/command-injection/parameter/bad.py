import subprocess

def archive(directory):
    subprocess.run("tar czf /backup/all.tgz %s" % directory, shell=True, check=True)  # expect: command-injection
