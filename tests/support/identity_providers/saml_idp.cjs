// SAML identity providers on loopback, by Auth0's samlp: node saml_idp.cjs '<JSON>'
//   {"certificate", "key": files in PEM, "providers": [{"name", "port"}]}
// GET /metadata is its description, GET /sso the sign-in form.
//   PUT /_people   {"alice": {"groups": [...], "email", ...}}   who is who from now on
//   PUT /_options  {...}                                        options of samlp.auth that are different from now on
const fs = require('fs');
const zlib = require('zlib');
const express = require('express');
const samlp = require('samlp');

const CLAIMS = 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/';
const GROUPS = 'http://schemas.microsoft.com/ws/2008/06/identity/claims/groups';
const given = JSON.parse(process.argv[2]);
const ours = { cert: fs.readFileSync(given.certificate), key: fs.readFileSync(given.key) };

const quoted = (value) => String(value ?? '').replace(/[&"<>]/g, (character) => `&#${character.charCodeAt(0)};`);
const inflated = (request) => zlib.inflateRawSync(Buffer.from(request, 'base64')).toString();
const attribute = (xml, name) => (xml.match(new RegExp(`\\b${name}="([^"]+)"`)) ?? [])[1];

function mapper(people, options) {
  return (user) => ({
    getClaims: () => ({
      [`${CLAIMS}emailaddress`]: people[user]?.email, [`${CLAIMS}givenname`]: people[user]?.given_name,
      [`${CLAIMS}surname`]: people[user]?.family_name, [GROUPS]: people[user]?.groups ?? [],
    }),
    getNameIdentifier: () => ({
      nameIdentifier: `${user}-id`,
      nameIdentifierFormat: options.nameIdFormat ?? 'urn:oasis:names:tc:SAML:2.0:nameid-format:persistent',
    }),
  });
}

for (const { name, port } of given.providers) {
  const issuer = `http://127.0.0.1:${port}/metadata`;
  const people = {};
  let options = {};
  const app = express();
  app.use(express.urlencoded({ extended: false }), express.json());
  app.put('/_people', (request, response) => { Object.assign(people, request.body); response.end(); });
  app.put('/_options', (request, response) => { options = request.body; response.end(); });
  app.get('/metadata', samlp.metadata({ issuer, cert: ours.cert, redirectEndpointPath: '/sso', postEndpointPath: '/sso' }));
  app.get('/sso', (request, response) => response.send(
    `<!doctype html><title>${name}</title><form method="post" action="/sso"><input name="login" aria-label="login">`
    + `<input type="hidden" name="SAMLRequest" value="${quoted(request.query.SAMLRequest)}">`
    + `<input type="hidden" name="RelayState" value="${quoted(request.query.RelayState)}"><button>go</button></form>`));
  app.post('/sso', (request, response, next) => {
    const { SAMLRequest, RelayState, login } = request.body;
    const xml = inflated(SAMLRequest);
    const acs = attribute(xml, 'AssertionConsumerServiceURL');
    const encryption = options.encryption && {
      encryptionCert: options.encryption, encryptionPublicKey: options.encryption,
      encryptionAlgorithm: 'http://www.w3.org/2009/xmlenc11#aes256-gcm',
    };
    request.query = { SAMLRequest, RelayState };
    request.method = 'GET'; // what samlp reads a request from
    samlp.auth({
      issuer, ...ours, inResponseTo: attribute(xml, 'ID'), recipient: acs, destination: acs, sessionIndex: 's1',
      lifetimeInSeconds: 300, profileMapper: mapper(people, options), getUserFromRequest: () => login,
      getPostURL: (audience, document, asked, done) => done(null, acs), signatureAlgorithm: 'rsa-sha256',
      digestAlgorithm: 'sha256',
      authnContextClassRef: 'urn:oasis:names:tc:SAML:2.0:ac:classes:PasswordProtectedTransport', ...options, ...encryption,
    })(request, response, next);
  });
  app.listen(port, '127.0.0.1');
}
