// Sends SMS with the npm library "smpp" as a shop's program would: what, and where to, comes as JSON on standard input.
// Prints the answers' command_status and message_id, and what was delivered to it.
"use strict";

const smpp = require("smpp");

let input = "";
process.stdin.on("data", (piece) => (input += piece)).on("end", () => send(JSON.parse(input)));

function send({ url, bind, messages, deliveries }) {
  const heard = { bind: null, answers: new Array(messages.length), deliveries: [] };
  const session = smpp.connect({ url, auto_enquire_link_period: 10000 });
  let open = messages.length;
  const finish = () => {
    if (open > 0 || heard.deliveries.length < deliveries) return;
    session.unbind(() => session.close(() => process.stdout.write(JSON.stringify(heard))));
  };
  session.on("deliver_sm", (pdu) => {
    heard.deliveries.push({ from: pdu.source_addr, esm_class: pdu.esm_class, text: pdu.short_message.message });
    session.send(pdu.response());
    finish();
  });
  session.on("error", (error) => {
    process.stdout.write(JSON.stringify({ error: error.code || error.message }));
    process.exit(0);
  });
  session.bind_transceiver(bind, (pdu) => {
    heard.bind = pdu.command_status;
    if (pdu.command_status !== 0) {
      session.close(() => process.stdout.write(JSON.stringify(heard)));
      return;
    }
    messages.forEach((message, index) => {
      if (message.payload_hex) message.message_payload = Buffer.from(message.payload_hex, "hex");
      delete message.payload_hex;
      session.submit_sm(message, (answer) => {
        heard.answers[index] = { status: answer.command_status, id: answer.message_id || "" };
        open -= 1;
        finish();
      });
    });
  });
}
