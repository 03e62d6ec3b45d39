"""How people sign in to Airflow: local accounts of the FAB auth manager, kept in Airflow's own database."""

from flask_appbuilder.const import AUTH_DB

AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
WTF_CSRF_ENABLED = True
