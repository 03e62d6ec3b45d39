"""Single sign-on: people sign in with their organisation's identity provider (OpenID Connect or SAML 2.0)."""
