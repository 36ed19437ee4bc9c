"""The doctor: one check after the other, each with what was found and the line which mends it.

`examination.py` makes the checks in their order, from what the settings name; the other files judge what was
found, without asking anybody themselves.
"""
