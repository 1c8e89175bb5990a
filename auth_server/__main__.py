"""`python -m auth_server` is `auth-server`."""

from auth_server.cli import main

if __name__ == "__main__":
    main()
