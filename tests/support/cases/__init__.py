"""Sources as people have them, each picture with its number in it: `recipes` and `judging`."""
