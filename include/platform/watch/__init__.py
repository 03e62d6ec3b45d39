"""`./callboard watch`: notices what Airflow cannot tell of itself, and tells people by a path of its own.

A process beside Airflow. Each round looks at everything (:mod:`looks`, :mod:`feeds`, :mod:`killed`), decides what is
worth a mail (:mod:`alarms`), remembers what it told (:mod:`memory`), and writes the notes of finished runs
(:mod:`notes`). Its time is real time, whatever the business clock says.
"""
