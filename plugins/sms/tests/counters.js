// Asks both calculators about every text on stdin, a JSON string a line, and answers with a line of JSON for each.
const { SegmentedMessage } = require("sms-segments-calculator");
const splitSms = require("split-sms");

const lines = require("fs").readFileSync(0, "utf8").split("\n").filter(Boolean);
for (const line of lines) {
  const text = JSON.parse(line);
  const twilio = new SegmentedMessage(text);
  const split = splitSms.split(text);
  console.log(JSON.stringify({
    twilio: { gsm: twilio.encodingName === "GSM-7", parts: twilio.segments.length, graphemes: twilio.graphemes, bits: twilio.messageSize },
    split: { gsm: split.characterSet === "GSM", parts: split.parts.map((part) => part.content), left: split.remainingInPart },
  }));
}
