"""The webhook's processes: who listens where, what they know of each other, how they begin and end."""
