"""From pictures to bright ones: one picture, many of one size, and whole folders of them."""
