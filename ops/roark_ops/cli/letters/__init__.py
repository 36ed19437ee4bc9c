"""Commands for dead letters and their replays."""
