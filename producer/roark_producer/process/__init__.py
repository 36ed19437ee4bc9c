"""The processes of one part on one machine: kept alive together, bound to each other, counted together."""
