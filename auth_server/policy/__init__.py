"""What callers may do: grants, patterns, scopes.yml and its watcher."""
