"""Changes to a report's JSON that leave every other byte as it is. Pure."""
