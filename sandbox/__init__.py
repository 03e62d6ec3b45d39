"""Stand-ins of the outside world for `make run` and the tests. They import nothing of the project itself."""
