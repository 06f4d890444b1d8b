/** RFC 9112 §7: the chunked coding. */
import { reads } from "../../fixtures/messages/message.js"
import { otherRows, provesByRows, rowsAbout } from "./proofs.js"

const withExtension = (title: string, extension: string) =>
  reads(
    title,
    `POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n2${extension}\r\nhi\r\n0${extension}\r\n\r\n`,
    { method: "POST", fields: ["Host", "example.org", "Transfer-Encoding", "chunked"], body: "hi" }
  )

// The last of them is the known deviation.
provesByRows("9112/7.1/decode", rowsAbout(/§7\.1: (a body without|hexadecimal|chunks whose|a size of 17 digits$)/))
provesByRows("9112/7.1/overflow", rowsAbout(/§7\.1: (a size (of 17|beyond)|the largest size)/))
provesByRows("9112/7.1/parameters", rowsAbout(/the codings "chunked;/))
provesByRows("9112/7.1.1/extensions", [
  ...rowsAbout(/§7\.1: (obs-text and tabs in the quoted value|the extension)/),
  withExtension("an extension with a value", ";a=b"),
  withExtension("several extensions", ";a;b=c;d"),
  withExtension("whitespace in front of an extension, and in it", " \t; a = b"),
  withExtension("an extension in quotes, with a semicolon in them", ';a="b;c\\""'),
  withExtension("an extension that looks like a size", ";5")
])
provesByRows("9112/7.1.2/trailers", rowsAbout(/§7\.1: trailers in their order/))
provesByRows("9112/7.1.2/merged", rowsAbout(/§6\.5\.1: trailers that/))
provesByRows("9112/7.2/parameters", rowsAbout(/a compression coding with a parameter/))
otherRows("RFC 9112 §7: other chunks and trailers", /RFC 9112 §7/)
