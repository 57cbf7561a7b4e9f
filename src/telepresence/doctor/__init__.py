"""`telepresence doctor`: what of this machine and of the cluster stands in the way of each method.

Called by: __main__, through report.py.
Owns: nothing.
Never: changes anything; asks for a password.
"""
