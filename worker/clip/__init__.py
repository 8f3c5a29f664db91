"""How a clip is to be made, decided before anything runs. Pure: values in, values out."""
