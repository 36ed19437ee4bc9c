"""What the sandbox answers: Roark's routes, Vapi's, and its own under `/_sandbox`."""
