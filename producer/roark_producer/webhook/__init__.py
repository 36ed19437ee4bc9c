"""The webhook: takes Vapi's end-of-call reports over HTTP and says yes only when they are durable.

`app.py` tells one request's way from its headers to its answer; `server.py` builds the parts and runs them.
"""
