// Verifies requests: a JSON list of {key, headers, body} comes in, a list of booleans goes out.

const crypto = require("node:crypto");
const fs = require("node:fs");
const { Webhook, WebhookVerificationError } = require("standardwebhooks");

function byLibrary({ key, headers, body }) {
  try {
    new Webhook(key).verify(body, headers);
    return true;
  } catch (error) {
    if (error instanceof WebhookVerificationError) return false;
    throw error;
  }
}

// The package knows `v1` only, so the standard's text is followed here.
function byPublicKey({ key, headers, body }) {
  const x = Buffer.from(key.slice("whpk_".length), "base64").toString("base64url");
  const publicKey = crypto.createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  const text = Buffer.from(`${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`);
  return headers["webhook-signature"].split(" ").some((entry) => {
    const [version, signature] = entry.split(",");
    return version === "v1a" && crypto.verify(null, text, publicKey, Buffer.from(signature, "base64"));
  });
}

const cases = JSON.parse(fs.readFileSync(0, "utf8"));
const verify = (one) => (one.key.startsWith("whpk_") ? byPublicKey(one) : byLibrary(one));
process.stdout.write(JSON.stringify(cases.map(verify)));
