"""Running jobs safely on this machine: the engine, the handlers, the tools and their guards."""
