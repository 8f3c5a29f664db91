"""The demonstration: a video, a page that shows it, the whole stack, one batch of clips."""
