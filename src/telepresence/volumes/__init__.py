"""The pod's file system on the laptop.

Called by: session.
Owns: mounts, their processes and their directories, until the context ends.
Never: needs a privilege; leaves a mount behind.
"""
