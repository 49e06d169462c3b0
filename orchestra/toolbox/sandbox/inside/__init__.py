"""inside: what runs in the caged process itself. Standard library and relative imports only: nothing else is there."""
