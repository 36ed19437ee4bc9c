"""What there is an alert about, and how the message goes out."""
