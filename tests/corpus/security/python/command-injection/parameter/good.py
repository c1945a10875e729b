import subprocess

def archive(directory):
    subprocess.run(["tar", "czf", "/backup/all.tgz", directory], check=True)
    subprocess.run("ls | wc -l", shell=True, check=True)
