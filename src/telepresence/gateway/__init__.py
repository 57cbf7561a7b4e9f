"""The process in the proxy container: whatever leaves the container's network goes to the pod.

Called by: the image's entry point, when its first word is `gateway`.
Owns: the container's firewall rules, files of names and carrier port, until the container ends.
Never: needs more than CAP_NET_ADMIN; reads payload bytes.
"""
