"""nginx and the sidecar on this machine: its configuration rendered, its processes supervised."""
