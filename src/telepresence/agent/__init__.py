"""The process in the pod: a SOCKS5 proxy with Tor's extensions, reached through the tunnel.

Called by: the image's entry point, as `python3 -m telepresence.agent`.
Owns: the pod's loopback ports 9040 (carriers) and 9050 (plain SOCKS5).
Never: listens beyond loopback; imports what only the laptop needs.
"""
