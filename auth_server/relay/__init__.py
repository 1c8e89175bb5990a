"""What comes back is looked at here: lists are cut, sessions sealed, event streams ended."""
