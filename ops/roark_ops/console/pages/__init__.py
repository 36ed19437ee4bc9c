"""The pages: each a function of what was asked for, and the words that it shows."""
