"""What ./run does: the virtual environment, and the commands in it. Standard library only, but for `serve`."""
