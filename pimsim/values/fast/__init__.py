"""Values a whole layer at once, in the order of rounding that the commands have: the same bits."""
