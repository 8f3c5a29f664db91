"""Comparing a clip with what was taken from its source.

`record` notes what goes into the file while it is written; `pictures` and `sounds` compare samples.
"""
