// A real identity provider for tests: oidc-provider with a form of one field as its login.
//
// Prints its port on 127.0.0.1 and ends with its standard input. What a test changes, it changes by POST to /test/…:
//   /test/rotate   { "keep": true }   a new signing key; without "keep" the old one is gone
//   /test/settings { … }              merged into `settings` below
//   /test/accounts { "alice": { … } } claims of accounts, merged
//   /test/clients  [ … ]              client metadata, added
// GET /test/log answers with the requests to the token, introspection and revocation endpoints, oldest first.
import http from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";

// What it warns of (storage in memory, releases of Node.js) is what a test wants.
console.info = console.warn = () => {};
const { Provider } = await import("oidc-provider");

const settings = { accessTokenSeconds: 600, refreshTokenSeconds: 3600, algorithm: "RS256" };
const accounts = {
    alice: { name: "Alice", email: "alice@example.com", groups: ["staff", "admins"], plan: "premium", tenant: "acme" },
    bob: { name: "Bob", email: "bob@example.com", groups: ["staff"], plan: "free", tenant: "globex" },
};
const clients = [
    // A service that gets tokens for itself.
    {
        client_id: "service", client_secret: "service-secret-of-32-characters!", redirect_uris: [], response_types: [],
        grant_types: ["client_credentials"], scope: "orders.read orders.write",
    },
    // A gateway that asks whether a token is good.
    {
        client_id: "inspector", client_secret: "inspector-secret-of-32-characters", redirect_uris: [], response_types: [],
        grant_types: [],
    },
];
const log = [];
let keys = [];
let handle;

const newKey = () => {
    const [type, options] = settings.algorithm.startsWith("ES")
        ? ["ec", { namedCurve: "P-256" }] : ["rsa", { modulusLength: 2048 }];
    const { privateKey } = generateKeyPairSync(type, options);
    return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: settings.algorithm };
};

const server = http.createServer((request, response) => {
    Promise.resolve(answer(request, response)).catch((error) => {
        console.error(error);
        response.writeHead(500).end(String(error));
    });
});

const port = await new Promise((done) => server.listen(0, "127.0.0.1", () => done(server.address().port)));
const issuer = `http://127.0.0.1:${port}`;

// A provider holds no state but its keys and settings: everything else is in the storage that all of them share.
let provider;
const rebuild = () => {
    provider = new Provider(issuer, {
        clients,
        jwks: { keys },
        cookies: { keys: ["a key for the provider's own cookies"] },
        pkce: { required: () => true },
        scopes: ["openid", "offline_access", "orders.read", "orders.write"],
        claims: {
            openid: ["sub", "groups", "plan", "tenant"], profile: ["name"], email: ["email"],
        },
        conformIdTokenClaims: false,
        ttl: {
            AccessToken: () => settings.accessTokenSeconds, ClientCredentials: () => settings.accessTokenSeconds,
            RefreshToken: () => settings.refreshTokenSeconds, IdToken: () => settings.accessTokenSeconds,
            AuthorizationCode: 60, Interaction: 600, Session: 3600, Grant: 3600,
        },
        clientBasedCORS: () => false,
        enabledJWA: { idTokenSigningAlgValues: ["RS256", "ES256", "PS256"] },
        clientDefaults: { id_token_signed_response_alg: settings.algorithm },
        async findAccount(_context, id) {
            return accounts[id] && { accountId: id, claims: async () => ({ sub: id, ...accounts[id] }) };
        },
        async extraTokenClaims(_context, token) {
            return accounts[token.accountId] ?? { plan: "premium", tenant: "acme" };
        },
        // Whoever logs in has agreed to everything.
        async loadExistingGrant(context) {
            const grant = new context.oidc.provider.Grant({
                clientId: context.oidc.client.clientId, accountId: context.oidc.session.accountId,
            });
            grant.addOIDCScope([...context.oidc.requestParamScopes].join(" "));
            grant.addResourceScope("urn:orders", "orders.read orders.write");
            await grant.save();
            return grant;
        },
        interactions: { url: (_context, interaction) => `/login/${interaction.uid}` },
        issueRefreshToken: async (_context, client) =>
            client.grantTypeAllowed("refresh_token"),
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            introspection: { enabled: true, allowedPolicy: () => true },
            revocation: { enabled: true, allowedPolicy: () => true },
            resourceIndicators: {
                enabled: true,
                // Tokens for a resource are JWTs, all others are opaque.
                getResourceServerInfo: () => ({
                    scope: "orders.read orders.write", audience: "orders", accessTokenTTL: settings.accessTokenSeconds,
                    accessTokenFormat: "jwt", jwt: { sign: { alg: settings.algorithm } },
                }),
                useGrantedResource: () => false,
            },
            rpInitiatedLogout: {
                enabled: true,
                logoutSource(context, form) {
                    context.body = `<!DOCTYPE html><title>Log out</title>${form}
                        <button type="submit" form="op.logoutForm" name="logout" value="yes" id="yes">Yes</button>`;
                },
            },
        },
        renderError(context, out) {
            context.type = "json";
            context.body = out;
        },
    });
    provider.on("server_error", (_context, error) => console.error(error));
    handle = provider.callback();
};

const body = async (request) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    return Buffer.concat(chunks).toString();
};

const login = async (request, response, uid) => {
    if (request.method === "POST") {
        const account = new URLSearchParams(await body(request)).get("login");
        const result = accounts[account] ? { login: { accountId: account } }
            : { error: "access_denied", error_description: "nobody of this name" };
        return provider.interactionFinished(request, response, result);
    }
    await provider.interactionDetails(request, response);
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<!DOCTYPE html><title>Log in</title><form method="post" action="/login/${uid}">
        <input name="login" id="login"><button type="submit" id="go">Log in</button></form>`);
};

const controls = {
    rotate({ keep }) { keys = [newKey(), ...(keep ? keys : [])]; },
    settings(change) { Object.assign(settings, change); },
    accounts(change) { Object.assign(accounts, change); },
    clients(more) { clients.push(...more); },
};

const control = async (request, response, name) => {
    const json = { "content-type": "application/json" };
    if (name === "log") return response.writeHead(200, json).end(JSON.stringify(log));
    controls[name](JSON.parse(await body(request) || "{}"));
    rebuild();
    response.writeHead(200, json).end("{}");
};

const answer = (request, response) => {
    const path = request.url.split("?")[0];
    const [, first, second] = path.split("/");
    if (first === "test") return control(request, response, second);
    if (first === "login") return login(request, response, second);
    if (first === "token") response.on("finish", () => log.push({ path, status: response.statusCode }));
    return handle(request, response);
};

controls.rotate({});
rebuild();
process.stdin.resume().on("end", () => process.exit(0));
console.log(port);
