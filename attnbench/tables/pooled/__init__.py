"""What each attention adds to networks without it, pooled over tables."""
