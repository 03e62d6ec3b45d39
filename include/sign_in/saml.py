"""SAML 2.0: python3-saml, told by the trust store whose signatures count, and the checks that it leaves optional."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lxml.etree import LxmlError
from onelogin.saml2.auth import OneLogin_Saml2_Auth
from onelogin.saml2.constants import OneLogin_Saml2_Constants as Names
from onelogin.saml2.errors import OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.settings import OneLogin_Saml2_Settings
from onelogin.saml2.utils import OneLogin_Saml2_Utils
from onelogin.saml2.xml_utils import OneLogin_Saml2_XML
from xmlsec import Error as XmlSecError

from include.expectations.trust_material import signing_certificates, utc_now, with_certificates
from include.sign_in.identity import Identity, word, words
from include.sign_in.refusals import DECLINED, NO_IDENTITY, NOT_AVAILABLE, NOT_PROVED, NOT_STARTED_HERE, SignInRefused
from include.sources.xml_signatures import UnsafeXml, check_message

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

    from include.sign_in.settings import SamlProvider, SignIn
    from include.sign_in.trust import Trusted

#: Below Airflow's address: where assertions come to, and what identity providers read about this installation.
ACS, METADATA = "/auth/saml/acs/", "/auth/saml/metadata/"
_PENDING = "saml_pending"  # in the session: relay state → id, provider, next, at
_PENDING_MOST, _PENDING_SECONDS = 5, 15 * 60
#: Names that are another one at each sign-in, or another person's after some years.
_NO_LASTING_NAMES = (Names.NAMEID_TRANSIENT, Names.NAMEID_EMAIL_ADDRESS)


class StrictResponse(OneLogin_Saml2_Response):  # type: ignore[misc]  # python3-saml is untyped
    """python3-saml's checks, and those of the profile (SAML Profiles, 4.1.4.2 and 4.1.4.3) that it leaves optional.

    xmlsec sees nothing that :func:`include.sources.xml_signatures.check_message` has not let pass: anybody may send a
    response, and anybody may encrypt one for us.
    """

    def __init__(self, settings: OneLogin_Saml2_Settings, response: str) -> None:
        """Read a form field.

        Raises:
            UnsafeXml: it asks for more than a response needs.
        """
        check_message(OneLogin_Saml2_XML.to_etree(OneLogin_Saml2_Utils.b64decode(response)))
        super().__init__(settings, response)  # this decrypts

    def check(self, request_data: dict[str, Any], request_id: str) -> None:
        """Check everything.

        Raises:
            OneLogin_Saml2_ValidationError: a check failed; its code says which.
            SignInRefused: likewise, of those that are ours.
            UnsafeXml: what was encrypted asks for more than an assertion needs.
        """
        if self.encrypted:
            check_message(self.decrypted_document)
        self.is_valid(request_data, request_id, raise_exceptions=True)
        acs = self._settings.get_sp_data()["assertionConsumerService"]["url"]
        bearer = [
            data
            for confirmation in self._query_assertion("/saml:Subject/saml:SubjectConfirmation")
            if confirmation.get("Method") == Names.CM_BEARER
            for data in confirmation.findall("saml:SubjectConfirmationData", namespaces=Names.NSMAP)
        ]
        if not bearer or any(data.get("InResponseTo") != request_id for data in bearer):
            raise SignInRefused(NOT_PROVED, "in_response_to")
        if any(data.get("Recipient") != acs for data in bearer):
            raise SignInRefused(NOT_PROVED, "recipient")
        if not all(data.get("NotOnOrAfter") for data in bearer):
            raise SignInRefused(NOT_PROVED, "no_expiry")
        if self.document.get("Destination", acs) != acs:
            raise SignInRefused(NOT_PROVED, "destination")
        if not self.get_audiences():
            raise SignInRefused(NOT_PROVED, "no_audience")


def service_provider(sign_in: SignIn, base_url: str) -> dict[str, Any]:
    """This installation, in python3-saml's words."""
    own: dict[str, Any] = {
        "entityId": base_url + METADATA,
        "assertionConsumerService": {"url": base_url + ACS, "binding": Names.BINDING_HTTP_POST},
        "NameIDFormat": Names.NAMEID_PERSISTENT,
    }
    if sign_in.saml_key_file is not None and sign_in.saml_certificate_file is not None:
        own["privateKey"] = sign_in.saml_key_file.read_text("ascii")
        own["x509cert"] = sign_in.saml_certificate_file.read_text("ascii")
    return {
        "strict": True,  # without it, nearly no check is made
        "debug": False,  # it prints
        "sp": own,
        "security": {
            "wantAssertionsSigned": True,
            "authnRequestsSigned": "privateKey" in own,
            "signatureAlgorithm": Names.RSA_SHA256,
            "digestAlgorithm": Names.SHA256,
            "rejectDeprecatedAlgorithm": True,
            "requestedAuthnContext": False,  # how people prove themselves is the organisation's decision
            "metadataValidUntil": "",  # an identity provider that keeps the file may keep it
        },
    }


def metadata(sign_in: SignIn, base_url: str) -> bytes:
    """What identity providers read about this installation, in XML."""
    settings = OneLogin_Saml2_Settings(service_provider(sign_in, base_url), sp_validation_only=True)
    described = settings.get_sp_metadata()
    return described if isinstance(described, bytes) else str(described).encode()


def start(trusted: Trusted, sign_in: SignIn, base_url: str, next_url: str, session: MutableMapping[str, Any]) -> str:
    """The address to send the browser to. The request's id stays in the session, and is used once.

    Raises:
        SignInRefused: what the trust store has of the provider is not enough.
    """
    auth = OneLogin_Saml2_Auth(_request(base_url, {}), _settings(trusted, sign_in, base_url))
    # What the provider sends back beside the assertion says which of this browser's sign-ins it answers. It is not
    # signed, and need not be: the assertion must name that one's request.
    relay_state = secrets.token_urlsafe(24)
    address: str = auth.login(return_to=relay_state)
    begun = {"id": auth.get_last_request_id(), "provider": trusted.provider, "next": next_url, "at": time.time()}
    earlier = [(key, each) for key, each in session.get(_PENDING, {}).items() if _recent(each)]
    session[_PENDING] = dict([*earlier[-(_PENDING_MOST - 1) :], (relay_state, begun)])
    return address


def answered(form: Mapping[str, str], session: MutableMapping[str, Any]) -> tuple[str, str, str]:
    """Which of this browser's sign-ins a form answers: request id, provider, and where the person wanted to go.

    Raises:
        SignInRefused: none that was started here within the last quarter of an hour and was not answered yet.
    """
    pending = dict(session.get(_PENDING, {}))
    begun = pending.pop(form.get("RelayState", ""), None)
    session[_PENDING] = pending
    if begun is None or not _recent(begun):
        raise SignInRefused(NOT_STARTED_HERE, "relay_state")
    return begun["id"], begun["provider"], begun["next"]


def finish(
    provider: SamlProvider, trusted: Trusted, sign_in: SignIn, base_url: str, form: Mapping[str, str], request_id: str
) -> Identity:
    """Who has come.

    Raises:
        SignInRefused: the provider said no, or something failed a check.
    """
    settings = OneLogin_Saml2_Settings(_settings(trusted, sign_in, base_url))
    try:
        response = StrictResponse(settings, form.get("SAMLResponse", ""))
        response.check(_request(base_url, form), request_id)
        name, name_format = response.get_nameid(), response.get_nameid_format()
        attributes: dict[str, list[str]] = response.get_attributes()
    except SignInRefused as refused:
        raise SignInRefused(refused.reason, refused.check, provider=provider.name) from None
    except (OneLogin_Saml2_Error, OneLogin_Saml2_ValidationError) as error:
        reason = DECLINED if error.code == OneLogin_Saml2_ValidationError.STATUS_CODE_IS_NOT_SUCCESS else NOT_PROVED
        raise SignInRefused(reason, _check(error), provider=provider.name) from None
    except UnsafeXml:
        raise SignInRefused(NOT_PROVED, "unsafe_xml", provider=provider.name) from None
    except (LxmlError, XmlSecError, ValueError, TypeError, AttributeError, LookupError) as error:
        raise SignInRefused(NOT_PROVED, type(error).__name__, provider=provider.name) from None
    if name_format in _NO_LASTING_NAMES:
        raise SignInRefused(NO_IDENTITY, "name_id_format", provider=provider.name)
    says, match = provider.attributes, provider.match.claim
    email = word(attributes.get(says.email))
    return Identity(
        provider=provider.name,
        subject=word(name),
        email=email,
        first_name=word(attributes.get(says.first_name)),
        last_name=word(attributes.get(says.last_name)),
        groups=words(attributes.get(says.groups)),
        matched_by=email if match == "email" else word(attributes.get(match)),
    )


def in_time(trusted: Trusted) -> dict[str, Any]:
    """The provider in python3-saml's words, with those of its certificates that have not ended meanwhile.

    Nobody else looks: python3-saml takes a certificate for its key alone, and the trust store keeps what it has while
    a provider does not answer, or says nothing that could be trusted.

    Raises:
        SignInRefused: all have ended.
    """
    idp: dict[str, Any] = trusted.document["idp"]
    usable = signing_certificates(idp, utc_now()).usable
    if not usable:
        raise SignInRefused(NOT_AVAILABLE, "certificates", provider=trusted.provider)
    return with_certificates(idp, usable)


def _settings(trusted: Trusted, sign_in: SignIn, base_url: str) -> dict[str, Any]:
    settings = {**service_provider(sign_in, base_url), "idp": in_time(trusted)}
    try:
        OneLogin_Saml2_Settings(settings)
    except OneLogin_Saml2_Error:
        raise SignInRefused(NOT_AVAILABLE, "metadata", provider=trusted.provider) from None
    return settings


def _request(base_url: str, form: Mapping[str, str]) -> dict[str, Any]:
    """The request as it was meant: what headers say of host and path may be a proxy's, or anybody's."""
    address = urlsplit(base_url + ACS)
    return {
        "https": "on" if address.scheme == "https" else "off",
        "http_host": address.netloc,
        "script_name": address.path,
        "get_data": {},
        "post_data": dict(form),
    }


def _recent(begun: dict[str, Any]) -> bool:
    return 0 <= time.time() - float(begun["at"]) < _PENDING_SECONDS


def _check(error: Exception) -> str:
    """The name of the check that failed; messages quote what was sent."""
    kind = type(error)
    names = (name for name, code in vars(kind).items() if name.isupper() and code == getattr(error, "code", None))
    return next(names, kind.__name__).lower()
