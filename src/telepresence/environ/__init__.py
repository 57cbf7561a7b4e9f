"""The environment of the user's process: the pod's variables, and the files that tell of them.

Called by: session.
Owns: nothing.
Never: starts a process; logs a value.
"""
