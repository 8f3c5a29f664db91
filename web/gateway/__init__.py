"""The way from a connection to Flask: bodies are read under limits, and threads are held briefly.

Granian speaks ASGI to `application`, in one event loop. The loop reads a request's body, so that a
client that sends slowly holds no thread, and sends the answer, so that a client that reads slowly
holds none either. Flask, which knows WSGI, runs in threads.
"""
