"""The door: who somebody is, what they may do, and whether it is really them who asks."""
