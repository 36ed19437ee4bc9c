"""The way to Roark over HTTP, and the memory that uploads may take."""
