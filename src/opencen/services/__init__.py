"""One module per noun, one function per operation = one transaction, with its audit event and revision.

Every function takes the `Context` and the `Actor`, and returns domain values or raises domain errors.
"""
