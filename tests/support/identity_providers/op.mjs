// OpenID providers on loopback, by panva's certified oidc-provider: node op.mjs '<JSON>'
//   {"redirect_to": "http://localhost:8080/auth/oauth-authorized/", "providers": [{"name", "port", "shape"}]}
// The shape is how a real one differs: generic (Ping; groups in the ID token), okta (groups at the userinfo endpoint
// alone), entra (oid and roles in the ID token, nothing at userinfo; the client's secret in the form).
//   PUT /_people  {"alice": {"groups": [...], ...}}   who is who from now on; everybody has the password "pw"
//   POST /_rotate                                     new signing keys, and none of the old
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import Provider from 'oidc-provider';

const given = JSON.parse(process.argv[2]);

function newKeys() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' }] };
}

function claimsOf(shape, people, id, use) {
  const person = people[id] ?? { groups: [] };
  const claims = { sub: id, preferred_username: id, name: id, email_verified: true, ...person };
  if (shape !== 'entra') return claims;
  if (use === 'userinfo') return { sub: claims.sub, name: id };
  return { ...claims, oid: `oid-${id}`, upn: person.email, roles: person.groups, groups: undefined };
}

function build({ name, shape, issuer }, people) {
  const provider = new Provider(issuer, {
    clients: [{
      client_id: 'callboard', client_secret: `secret-of-${name}`, application_type: 'web',
      redirect_uris: [given.redirect_to + name], response_types: ['code'], grant_types: ['authorization_code'],
      token_endpoint_auth_method: shape === 'entra' ? 'client_secret_post' : 'client_secret_basic',
    }],
    clientAuthMethods: shape === 'entra' ? ['client_secret_post'] : ['client_secret_basic', 'client_secret_post'],
    pkce: { required: () => true },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: {
      openid: ['sub', 'oid', 'roles', 'upn'], profile: ['given_name', 'family_name', 'name', 'preferred_username'],
      email: ['email', 'email_verified'], groups: ['groups'],
    },
    conformIdTokenClaims: shape === 'okta',
    findAccount: (_, id) => ({ accountId: id, claims: async (use) => claimsOf(shape, people, id, use) }),
    cookies: { keys: ['k1'] },
    jwks: newKeys(),
    ttl: { Session: 600, Interaction: 600, Grant: 600, AccessToken: 600, IdToken: 600 },
  });
  provider.on('server_error', (_, error) => console.error(name, error));
  return provider;
}

async function bodyOf(request) {
  let text = '';
  for await (const part of request) text += part;
  return text;
}

for (const { name, port, shape } of given.providers) {
  const about = { name, shape, issuer: `http://127.0.0.1:${port}` };
  const people = {};
  let answer = build(about, people).callback();
  createServer(async (request, response) => {
    if (request.url === '/_people') {
      Object.assign(people, JSON.parse(await bodyOf(request)));
      response.end();
    } else if (request.url === '/_rotate') {
      answer = build(about, people).callback();
      response.end();
    } else {
      answer(request, response);
    }
  }).listen(port, '127.0.0.1');
}
