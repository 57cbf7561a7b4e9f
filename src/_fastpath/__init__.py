"""The data-plane engine: C and its Cython doorway.  Import it through telepresence.fastpath.

Called by: telepresence.fastpath.
Owns: nothing itself; see loop.h for what the engine owns.
Never: anything at import."""
