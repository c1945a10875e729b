import argparse
import os

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    args = parser.parse_args()
    os.system("gzip " + args.file)  # expect: command-injection
