import argparse
import subprocess

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    args = parser.parse_args()
    subprocess.run(["gzip", args.file])
    print(open(args.file).read())
