"""Checks over a workspace: tools run inside a sandbox, and what they print becomes one shape, `Finding`.

Everything that reads the project's files (tools, their configuration, their plugins) runs in the sandbox;
this package writes the script that runs there and judges the bytes that come back, which it never trusts.
A check passes only when its tool ran, ended as it should, said something that can be read, and looked at files.
"""
