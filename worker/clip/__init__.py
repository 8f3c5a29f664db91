"""How a clip is to be made, decided before anything runs. Pure: values in, values out.

`plan_clip` decides. Reading order: containers, encoding (the two tables), seeking, strategy, plan;
picture_size, gif and size_limit compute what follows from a plan. No tool is imported here.
"""
