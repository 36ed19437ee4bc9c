"""What worker processes count, and the page on which it is served."""
