"""What an answer from Roark means, whose side the cause is on, and the words for it. Pure."""
