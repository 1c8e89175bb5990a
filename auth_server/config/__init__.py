"""What the deployment decides, read from the environment."""
