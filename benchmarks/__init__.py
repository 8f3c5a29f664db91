"""How fast, how small and how exact: measured side by side, in one run, on this machine.

The system is started by command, as a user would start it; part `memory` runs the tools alone.
"""
