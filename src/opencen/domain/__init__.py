"""The words and rules of OpenCEN. Pure: no I/O, no framework, imports nothing of ours outside this folder."""
