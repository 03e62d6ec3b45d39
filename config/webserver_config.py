"""How people sign in to Airflow: local accounts, or the identity providers of the file that CALLBOARD_SIGN_IN names."""

from include.sign_in.flask_settings import flask_settings

globals().update(flask_settings())
