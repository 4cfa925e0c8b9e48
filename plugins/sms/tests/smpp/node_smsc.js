// An SMSC made of node-smpp: takes one account, does what lines of JSON on stdin say, and tells what happens on stdout.
const smpp = require(process.argv[2]);
const readline = require("readline");
const fs = require("fs");

const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const hex = (value) => (Buffer.isBuffer(value) ? value.toString("hex") : Buffer.from(String(value ?? ""), "latin1").toString("hex"));
const sessions = new Set();
const statuses = [];
let count = 0;
let named = (number) => number.toString(16).toUpperCase().padStart(8, "0");
let silent = false;

function serve(session) {
  session.on("error", () => {});
  session.on("close", () => { sessions.delete(session); tell({ what: "closed" }); });
  for (const kind of ["bind_transceiver", "bind_transmitter", "bind_receiver"]) {
    session.on(kind, (pdu) => {
      const right = pdu.system_id === "shop" && pdu.password === "geheim-8";
      tell({ what: kind, right, version: pdu.interface_version });
      session.send(pdu.response({ command_status: right ? 0 : smpp.ESME_RINVPASWD, system_id: "node" }));
      if (right) { session.kind = kind; sessions.add(session); }
    });
  }
  session.on("enquire_link", (pdu) => session.send(pdu.response()));
  session.on("unbind", (pdu) => { tell({ what: "unbind" }); session.send(pdu.response()); session.close(); });
  session.on("submit_sm", (pdu) => {
    const status = statuses.shift() || 0;
    const content = pdu.short_message || {};
    tell({
      what: "submit_sm", status, number: status ? 0 : ++count, source: pdu.source_addr, source_ton: pdu.source_addr_ton,
      dest: pdu.destination_addr, dest_ton: pdu.dest_addr_ton, esm_class: pdu.esm_class, data_coding: pdu.data_coding,
      registered: pdu.registered_delivery, text: content.message ?? "", udh: (content.udh || []).map(hex),
      reference: pdu.user_message_reference, payload: pdu.message_payload ? pdu.message_payload.message ?? "" : "",
      sar: [pdu.sar_msg_ref_num, pdu.sar_total_segments, pdu.sar_segment_seqnum],
    });
    if (silent) return;
    session.send(pdu.response(status ? { command_status: status } : { message_id: named(count) }));
  });
  session.on("query_sm", (pdu) => session.send(pdu.response({ message_id: pdu.message_id, final_date: "", message_state: 2, error_code: 0 })));
}

const options = process.argv[4] ? { key: fs.readFileSync(process.argv[4]), cert: fs.readFileSync(process.argv[5]) } : {};
const server = smpp.createServer(options, serve);
server.listen(Number(process.argv[3]), "127.0.0.1", () => tell({ what: "listening", port: server.address().port }));

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  const asked = JSON.parse(line);
  const receiver = [...sessions].find((one) => one.kind !== "bind_transmitter");
  if (asked.do === "statuses") statuses.push(...asked.values);
  if (asked.do === "silent") silent = asked.value;
  if (asked.do === "decimal") named = (number) => number.toString(10).padStart(10, "0");
  if (asked.do === "cut") for (const one of sessions) one.socket.destroy();
  if (asked.do === "enquire") receiver.enquire_link((pdu) => tell({ what: "enquire_link_resp", status: pdu.command_status }));
  if (asked.do === "unbind") receiver.unbind((pdu) => tell({ what: "unbind_resp", status: pdu.command_status }));
  if (asked.do === "deliver") {
    const fields = { ...asked.fields };
    if (asked.hex !== undefined) fields.short_message = Buffer.from(asked.hex, "hex");
    receiver.deliver_sm(fields, (pdu) => tell({ what: "deliver_sm_resp", status: pdu.command_status, for: asked.for }));
  }
  tell({ what: "heard" });
}).on("close", () => process.exit(0));
