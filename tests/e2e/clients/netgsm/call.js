// Calls Netgsm's own library: {url, username, password, calls: [[method, payload], ...]} on standard input, a list of
// {answer} or {error} on standard output. The library knows one base URL only, so it is replaced in the object.
"use strict";

const { Netgsm } = require("@netgsm/sms");

async function main(order) {
  const client = new Netgsm({ username: order.username, password: order.password, appname: "ornek" });
  client.baseURL = order.url;
  const results = [];
  for (const [method, payload] of order.calls) {
    try {
      results.push({ answer: await client[method](payload) });
    } catch (error) {
      results.push({ error: { status: error.status, code: error.code, description: error.description } });
    }
  }
  process.stdout.write(JSON.stringify(results));
}

let input = "";
process.stdin.on("data", (piece) => (input += piece));
process.stdin.on("end", () => main(JSON.parse(input)));
