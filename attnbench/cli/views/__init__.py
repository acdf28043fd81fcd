"""Results and progress as the terminal shows them."""
