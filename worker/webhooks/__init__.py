"""Sends webhooks: takes due messages from the outbox and posts them, each endpoint by itself."""
