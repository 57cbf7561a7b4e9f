"""How the user's process reaches the tunnel: one module a method.

Called by: session, through METHODS of the session.
Owns: what a method sets up on the laptop, until its context ends.
Never: starts the process; the runner does.
"""
