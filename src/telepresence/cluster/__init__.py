"""Everything that talks to the Kubernetes API.

Called by: session.
Owns: the API connection and the proxy pod, each until its context ends.
Never: parses kubectl's text; imported on the way to --help.
"""
