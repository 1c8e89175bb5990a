"""Cognito's OAuth endpoints, and signing in with a browser."""
