"""What `up` shows a person."""
