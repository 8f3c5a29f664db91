"""Webhooks that are really sent."""
