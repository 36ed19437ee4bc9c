"""What all commands share: options, output, times, files, and how they end."""
