"""How Clipmill looks over HTTP."""
