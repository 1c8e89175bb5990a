"""The door in front of MCP servers: an nginx auth_request sidecar for AWS Cognito."""

__version__ = "0.1.0"
