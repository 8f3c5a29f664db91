// Verifies one message as a receiver in JavaScript does. Standard input: {secret, body, headers}.
const { Webhook } = require("standardwebhooks");
const { readFileSync } = require("node:fs");

const { secret, body, headers } = JSON.parse(readFileSync(0, "utf8"));
try {
  console.log(JSON.stringify({ verified: new Webhook(secret).verify(body, headers) }));
} catch (error) {
  console.log(JSON.stringify({ refused: error.message }));
}
