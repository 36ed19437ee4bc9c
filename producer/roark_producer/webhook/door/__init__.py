"""The webhook's door: who may pass, and how much of a request is read before that is known."""
