"""What the commands show of the core's answers, a module for each kind of work. They load with the core."""
