// Calls Infobip's own library: {url, key, calls: [[path, arguments]]} on standard input, path such as "sms.send"; a list
// of {status, data} on standard output. The library hands errors back instead of throwing them.
"use strict";

const { Infobip, AuthType } = require("@infobip-api/sdk");

async function main(order) {
  const client = new Infobip({ baseUrl: order.url, apiKey: order.key, authType: AuthType.ApiKey });
  const results = [];
  for (const [path, given] of order.calls) {
    const names = path.split(".");
    const name = names.pop();
    const holder = names.reduce((found, each) => found[each], client.channels);
    const answer = await holder[name](...given);
    const response = answer.response || answer;
    results.push({ status: response.status || 0, data: response.data || null, error: answer.message || null });
  }
  process.stdout.write(JSON.stringify(results));
}

let input = "";
process.stdin.on("data", (piece) => (input += piece));
process.stdin.on("end", () => main(JSON.parse(input)));
