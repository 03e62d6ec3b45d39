"""SFTP for customers without a server of their own: OpenSSH, one chrooted account for each (``docs/deploy/``).

A program by itself, beside Airflow and without a database: it reads a file of accounts, runs ``sshd``, and keeps what
sshd looks at (users, keys, folders) as the file says, for as long as it runs.
"""
