"""What Flower is told: reports and the lane, as few events as it needs."""
