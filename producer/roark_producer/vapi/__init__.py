"""What Vapi sends: reports, other messages, Call objects, and what people wrap around them. Pure."""
