"""The path from the laptop to the agent in the pod.

Called by: session.
Owns: port-forwards, carriers and the engine's tunnel over them.
Never: talks to the Kubernetes API; sees a user's byte.
"""
