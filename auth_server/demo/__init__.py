"""The demonstration: a local stand-in for AWS Cognito and two real MCP servers."""
