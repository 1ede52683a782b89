// Sends mail with nodemailer as a shop's program would: what, and where to, comes as JSON on standard input.
// Prints for each message what nodemailer says of it.
"use strict";

const nodemailer = require("nodemailer");

async function main() {
  const chunks = [];
  for await (const chunk of process.stdin) chunks.push(chunk);
  const { transport, messages } = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  const mailer = nodemailer.createTransport(transport);
  const fates = await Promise.all(
    messages.map((message) =>
      mailer.sendMail(message).then(
        ({ accepted, rejected, response }) => ({ accepted, rejected, response }),
        ({ responseCode, response, message: text }) => ({ code: responseCode, response: response || text }),
      ),
    ),
  );
  mailer.close();
  process.stdout.write(JSON.stringify(fates));
}

main();
