"""The fault harness: real servers, a real database, clients that log what was acknowledged, and faults from a seed."""
