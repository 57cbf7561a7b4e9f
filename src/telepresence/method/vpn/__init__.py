"""vpn-tcp: firewall rules and a name server make the whole machine part of the cluster.

Called by: session.
Owns: what its modules say.
Never: sends the laptop's other traffic or names anywhere but where they went before.
"""
