"""Run a process on your laptop as if it were in a Kubernetes pod.

Called by: the command line (`telepresence.__main__`) and, for its data plane, other programs
(`telepresence.fastpath`).
Owns: the version, which the pod's image must share.
Never: anything at import.
"""

__version__ = "0.200.0"
