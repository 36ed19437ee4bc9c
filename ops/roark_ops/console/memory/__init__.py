"""What the process keeps in memory for all tabs: the latest moment, the dead letters, frozen selections, checks."""
