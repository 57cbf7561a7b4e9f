"""container: the user's container shares the network of a proxy container, which ends in the pod.

Called by: plan (run_words), session (whole).
Owns: both containers, until the context ends.
Never: asks the engine for a privileged container; needs root where the engine does not.
"""
