"""How a clip is to be made, decided before anything runs. Pure: values in, values out.

`plan_clip` decides it all. Reading order: containers, encoding (the two tables), seeking, strategy,
plan; picture_size, gif, size_limit say what follows from a plan. Nothing here knows a tool's room.
"""
